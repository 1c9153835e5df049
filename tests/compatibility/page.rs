//! Reads the tables of `docs/compatibility.md`. A table is told by its header; a table with another header is prose.
//! Every row must be complete: what cannot be read is an error that names the line, never a row left out.

/// Header of the tables of requests.
const REQUESTS_HEADER: &str = "| command | here | before | request | answer | note |";
/// Headers of the tables of command lines.
const OPTIONS_HEADERS: [&str; 2] =
    ["| option | here | try | outcome | note |", "| key | here | try | outcome | note |"];
/// What stands where a cell has nothing to say.
const NONE: &str = "-";
/// The longest run `byte{n}` may stand for, in bytes: enough for a value above the largest.
const RUN_MAX: usize = 2 << 20;

/// Whether it is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Here {
    /// As in memcached.
    Yes,
    /// It is there and behaves otherwise; the note says how and why.
    Differs,
    /// It is not there; the note says why.
    No,
    /// memcached does not have it.
    Added,
}

/// One row of a table of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRow {
    /// Line of the page, from 1.
    pub line: usize,
    /// The command: the first code of the first cell.
    pub name: String,
    pub here: Here,
    pub before: Before,
    pub request: Vec<u8>,
    pub answer: Answer,
}

/// What a server needs before a request makes sense.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Before {
    /// Command lines to start it with.
    pub options: Vec<String>,
    /// Text requests sent on a connection of their own.
    pub requests: Vec<Vec<u8>>,
    /// The request is a datagram.
    pub udp: bool,
    /// memcached has it only in a build that the comparison does not use.
    pub other_build: bool,
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The bytes it starts with; all of it, unless `then` is [`Then::More`].
    pub bytes: Vec<u8>,
    pub then: Then,
}

/// What follows the bytes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Nothing: the next answer is that of the next request.
    Complete,
    /// More, not compared.
    More,
    /// The server hangs up.
    Closed,
}

/// One row of a table of command lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionRow {
    /// Line of the page, from 1.
    pub line: usize,
    /// Every code of the first cell: `-p` and `--port`, or the key of `-o` as it is written.
    pub names: Vec<String>,
    pub here: Here,
    /// Command lines, all with the same outcome.
    pub tries: Vec<String>,
    pub outcome: Outcome,
}

/// What a command line does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It serves, and warns of nothing.
    Starts,
    /// It serves. Whether it warns depends on the machine or the user.
    Serves,
    /// It serves, with a warning that holds this word.
    Warns(String),
    /// It ends by itself with this status, and what it prints holds this word.
    Ends { status: i32, word: String },
    /// It ends with status 0 and has left a server in the background.
    Detaches,
}

/// All rows of the page.
#[derive(Debug, Default)]
pub struct Page {
    pub requests: Vec<RequestRow>,
    pub options: Vec<OptionRow>,
}

/// Reads the page; complaints name the line.
pub fn read(text: &str) -> Result<Page, Vec<String>> {
    let (mut page, mut complaints) = (Page::default(), Vec::new());
    let mut header = "";
    for (line, content) in text.lines().enumerate().map(|(i, content)| (i + 1, content.trim())) {
        if !content.starts_with('|') {
            header = "";
        } else if header.is_empty() {
            header = content;
        } else if content.starts_with("|---") {
            continue;
        } else if header == REQUESTS_HEADER {
            match request_row(line, content) {
                Ok(row) => page.requests.push(row),
                Err(why) => complaints.push(format!("line {line}: {why}: {content}")),
            }
        } else if OPTIONS_HEADERS.contains(&header) {
            match option_row(line, content) {
                Ok(row) => page.options.push(row),
                Err(why) => complaints.push(format!("line {line}: {why}: {content}")),
            }
        }
    }
    if complaints.is_empty() { Ok(page) } else { Err(complaints) }
}

fn request_row(line: usize, content: &str) -> Result<RequestRow, String> {
    let [name, here, before, request, answer, note] = cells(content)?;
    let row = RequestRow {
        line,
        name: spans(name)?.first().ok_or("no command")?.to_string(),
        here: status(here, note)?,
        before: self::before(before)?,
        request: one_span(request).and_then(unescape).map_err(|why| format!("request: {why}"))?,
        answer: self::answer(answer).map_err(|why| format!("answer: {why}"))?,
    };
    if !asks_for(&row) {
        return Err(format!("the request does not use {}", row.name));
    }
    Ok(row)
}

fn option_row(line: usize, content: &str) -> Result<OptionRow, String> {
    let [names, here, tries, outcome, note] = cells(content)?;
    let row = OptionRow {
        line,
        names: spans(names)?.into_iter().map(String::from).collect(),
        here: status(here, note)?,
        tries: spans(tries)?.into_iter().map(String::from).collect(),
        outcome: self::outcome(outcome)?,
    };
    if row.names.is_empty() || row.tries.is_empty() {
        return Err("an empty cell".into());
    }
    match row.names.iter().find(|name| !row.tries.iter().any(|line| tries_option(line, name))) {
        Some(name) => Err(format!("no command line tries {name}")),
        None => Ok(row),
    }
}

/// Whether the request is one of this command: its verb at the start of a line, or its opcode behind the magic byte.
fn asks_for(row: &RequestRow) -> bool {
    let Some(hex) = row.name.strip_prefix("0x") else {
        let verb = row.name.split(' ').next().unwrap_or_default().as_bytes();
        return row.request.windows(verb.len()).any(|window| window == verb);
    };
    let opcode = hex.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
    opcode.is_some_and(|opcode| row.request.windows(2).any(|pair| pair == [0x80, opcode]))
}

/// Whether a word of the command line is this option (`-p`, `--port`) or has this key of `-o` (`hashpower=n`).
fn tries_option(line: &str, name: &str) -> bool {
    let key = name.split(['=', '[']).next().unwrap_or_default();
    let mut words = line.split(' ');
    match name.starts_with('-') {
        true if name.contains(' ') => line.starts_with(name.split('[').next().unwrap_or_default()),
        true if name.starts_with("--") => words.any(|word| word.split('=').next() == Some(name)),
        true => words.any(|word| word.starts_with(name)),
        false => words.any(|word| word.split('=').next() == Some(key)),
    }
}

/// The cells of a row, trimmed. A `|` inside a cell is written `\|`.
fn cells<const N: usize>(content: &str) -> Result<[&str; N], String> {
    let inner = content.strip_prefix('|').and_then(|c| c.strip_suffix('|')).ok_or("no closing |")?;
    let mut cells = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, c) in inner.char_indices() {
        if c == '|' && !escaped {
            cells.push(inner[start..at].trim());
            start = at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    cells.push(inner[start..].trim());
    let number = cells.len();
    if let Some(empty) = cells.iter().take(N - 1).position(|cell| cell.is_empty()) {
        return Err(format!("cell {} is empty", empty + 1));
    }
    cells.try_into().map_err(|_| format!("{number} cells, not {N}"))
}

/// What stands in backticks.
fn spans(cell: &str) -> Result<Vec<&str>, String> {
    let parts: Vec<&str> = cell.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return Err("an open backtick".into());
    }
    Ok(parts.into_iter().skip(1).step_by(2).collect())
}

fn one_span(cell: &str) -> Result<&str, String> {
    match spans(cell)?.as_slice() {
        [span] => Ok(span),
        others => Err(format!("{} codes, not one", others.len())),
    }
}

/// A status other than yes has its reason.
fn status(cell: &str, note: &str) -> Result<Here, String> {
    let here = match cell {
        "yes" => return Ok(Here::Yes),
        "differs" => Here::Differs,
        "no" => Here::No,
        "added" => Here::Added,
        other => return Err(format!("`{other}` is no status")),
    };
    if note.is_empty() { Err(format!("{cell} without a reason")) } else { Ok(here) }
}

fn before(cell: &str) -> Result<Before, String> {
    let mut before = Before::default();
    for span in spans(cell)? {
        match span.starts_with('-') {
            true => before.options.push(span.to_string()),
            false => before.requests.push(unescape(span)?),
        }
    }
    for word in cell.split('`').step_by(2).flat_map(|prose| prose.split([' ', ','])) {
        match word {
            "" | NONE => {}
            "UDP" => before.udp = true,
            "(other-build)" => before.other_build = true,
            other => return Err(format!("before: `{other}` means nothing")),
        }
    }
    Ok(before)
}

fn answer(cell: &str) -> Result<Answer, String> {
    let bytes = if spans(cell)?.is_empty() { Vec::new() } else { unescape(one_span(cell)?)? };
    let prose: String = cell.split('`').step_by(2).collect();
    let then = match (prose.trim(), bytes.is_empty()) {
        ("", false) | ("nothing", true) => Then::Complete,
        ("...", false) => Then::More,
        ("then closed", false) | ("closed", true) => Then::Closed,
        (other, _) => return Err(format!("`{other}` means nothing")),
    };
    Ok(Answer { bytes, then })
}

fn outcome(cell: &str) -> Result<Outcome, String> {
    let word = spans(cell)?.first().map(|word| word.to_string());
    let prose = cell.split('`').next().unwrap_or_default().trim();
    match (prose.split_once(' ').unwrap_or((prose, "")), word) {
        (("starts", ""), None) => Ok(Outcome::Starts),
        (("serves", ""), None) => Ok(Outcome::Serves),
        (("detaches", ""), None) => Ok(Outcome::Detaches),
        (("warns", ""), Some(word)) => Ok(Outcome::Warns(word)),
        (("ends", status), Some(word)) => {
            let status = status.parse().map_err(|_| format!("`{status}` is no exit status"))?;
            Ok(Outcome::Ends { status, word })
        }
        _ => Err(format!("outcome: `{cell}` means nothing")),
    }
}

/// `\r`, `\n`, `\0`, `\\`, `\xNN`; `byte{n}` stands for n of that byte.
pub fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut rest = text.as_bytes();
    loop {
        let taken = match rest {
            [] => return Ok(bytes),
            [b'\\', b'x', high, low, ..] => {
                let hex = |digit: &u8| char::from(*digit).to_digit(16);
                let (Some(high), Some(low)) = (hex(high), hex(low)) else {
                    return Err(format!("no hexadecimal byte in {text}"));
                };
                bytes.push((high * 16 + low) as u8);
                4
            }
            [b'\\', escaped, ..] => {
                let at = b"rn0\\|".iter().position(|known| known == escaped);
                bytes.push(
                    *b"\r\n\0\\|"
                        .get(at.ok_or_else(|| format!("an unknown escape in {text}"))?)
                        .unwrap_or(&0),
                );
                2
            }
            [b'\\'] => return Err(format!("an escape is cut off in {text}")),
            [b'{', tail @ ..] if bytes.last().is_some() => {
                let end =
                    tail.iter().position(|&byte| byte == b'}').ok_or_else(|| format!("no }} in {text}"))?;
                let number =
                    std::str::from_utf8(&tail[..end]).ok().and_then(|digits| digits.parse::<usize>().ok());
                let number = number.filter(|number| (1..=RUN_MAX).contains(number));
                let number = number.ok_or_else(|| format!("no number of bytes in {text}"))?;
                let last = bytes[bytes.len() - 1];
                bytes.resize(bytes.len() + number - 1, last);
                end + 2
            }
            [byte, ..] => {
                bytes.push(*byte);
                1
            }
        };
        rest = &rest[taken..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The complaints about a table of one row.
    fn complaint(header: &str, row: &str) -> String {
        let text = format!("# Page\n\n{header}\n|---|---|\n{row}\n");
        match read(&text) {
            Err(complaints) => complaints.join("\n"),
            Ok(page) => format!("{} {}", page.requests.len(), page.options.len()),
        }
    }

    #[test]
    fn good_rows_are_read() {
        let text = format!(
            "text\n\n{REQUESTS_HEADER}\n|---|---|---|---|---|---|\n\
             | `get`, a hit | yes | `-A`, `-m 10`, `set a 0 0 1\\r\\nx\\r\\n` | `get a\\r\\n` | `VALUE` ... | |\n\
             | `0x0a NOOP` | no | UDP, `-U {{udp}}` | `\\x80\\x0a\\0{{3}}` | nothing | why |\n\n\
             | other | table |\n|---|---|\n| a | b |\n\n\
             {}\n|---|---|\n| `-p`, `--port` | differs | `-p1`, `--port=1` | ends 64 `port` | it is so |\n",
            OPTIONS_HEADERS[0]
        );
        let page = read(&text).expect("good rows");
        let get = RequestRow {
            line: 5,
            name: "get".into(),
            here: Here::Yes,
            before: Before {
                options: vec!["-A".into(), "-m 10".into()],
                requests: vec![b"set a 0 0 1\r\nx\r\n".to_vec()],
                ..Before::default()
            },
            request: b"get a\r\n".to_vec(),
            answer: Answer { bytes: b"VALUE".to_vec(), then: Then::More },
        };
        assert_eq!(page.requests[0], get);
        assert_eq!((page.requests[1].here, page.requests[1].before.udp), (Here::No, true));
        assert_eq!(page.requests[1].request, b"\x80\x0a\0\0\0");
        assert_eq!(page.requests[1].answer, Answer { bytes: vec![], then: Then::Complete });
        let port = OptionRow {
            line: 14,
            names: vec!["-p".into(), "--port".into()],
            here: Here::Differs,
            tries: vec!["-p1".into(), "--port=1".into()],
            outcome: Outcome::Ends { status: 64, word: "port".into() },
        };
        assert_eq!(page.options, [port]);
        assert_eq!(page.requests.len(), 2);
    }

    #[test]
    fn bad_rows_of_requests_are_named() {
        for (row, why) in [
            ("| `get` | yes | - | `get a\\r\\n` | | |", "cell 5 is empty"),
            ("| `get` | yes | - | `get a\\r\\n` | END | |", "means nothing"),
            ("| `get` | yes | - | `get a\\r\\n` | `END` soon | |", "means nothing"),
            ("| `get` | yes | - | | `END` | |", "cell 4 is empty"),
            ("| `get` | yes | - | `get a` `get b` | `END` | |", "2 codes"),
            ("| `get` | yes | - | `set a\\r\\n` | `END` | |", "does not use get"),
            ("| `0x0a NOOP` | yes | - | `\\x80\\x0b` | `END` | |", "does not use 0x0a"),
            ("| `get` | maybe | - | `get a\\r\\n` | `END` | |", "`maybe` is no status"),
            ("| `get` | no | - | `get a\\r\\n` | `END` | |", "no without a reason"),
            ("| `get` | yes | TCP | `get a\\r\\n` | `END` | |", "`TCP` means nothing"),
            ("| `get` | yes | - | `get a\\r\\n` | `END` |", "5 cells"),
            ("| `get` | yes | - | `get a\\r\\n | `END` | |", "open backtick"),
            ("| get | yes | - | `get a\\r\\n` | `END` | |", "no command"),
            ("| `get` | yes | - | `get a\\q` | `END` | |", "unknown escape"),
            ("| `get` | yes | - | `get a\\xg0` | `END` | |", "no hexadecimal byte"),
            ("| `get` | yes | - | `get a{x}` | `END` | |", "no number of bytes"),
            ("| `get` | yes | - | `get a{2` | `END` | |", "no }"),
        ] {
            let found = complaint(REQUESTS_HEADER, row);
            assert!(found.starts_with("line 5: ") && found.contains(why), "{row}\n{found}");
        }
    }

    #[test]
    fn bad_rows_of_options_are_named() {
        for (row, why) in [
            ("| `-p` | yes | `-p 1` | | |", "cell 4 is empty"),
            ("| `-p` | yes | `-p 1` | works | |", "means nothing"),
            ("| `-p` | yes | `-p 1` | warns | |", "means nothing"),
            ("| `-p` | yes | `-p 1` | ends x `y` | |", "no exit status"),
            ("| `-p`, `--port` | yes | `-p 1` | starts | |", "no command line tries --port"),
            ("| `-p` | yes | `-U 1` | starts | |", "no command line tries -p"),
            ("| `hashpower=n` | yes | `-o hash_algorithm=x` | starts | |", "tries hashpower=n"),
            ("| `-p` | differs | `-p 1` | starts | |", "differs without a reason"),
        ] {
            let found = complaint(OPTIONS_HEADERS[0], row);
            assert!(found.starts_with("line 5: ") && found.contains(why), "{row}\n{found}");
        }
    }

    #[test]
    fn runs_and_escapes() {
        assert_eq!(unescape("k{3} \\0{2}\\x80\\\\").unwrap(), b"kkk \0\0\x80\\");
        assert_eq!(unescape("{3}").unwrap(), b"{3}", "nothing to repeat");
    }
}
