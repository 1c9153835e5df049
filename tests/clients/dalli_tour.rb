# Dalli 3.0: the binary protocol, as Rails uses it. Further arguments: user and password.
require "dalli"

TTL_PATIENCE_S = 5
SIZES_BYTES = [0, 1, 1000, 16_384, 100_000, 1_000_000].freeze

def check(what)
  raise "failed at #{caller_locations(1, 1).first}" unless what
end

def refused(error)
  yield
rescue error
  nil
else
  raise "went through: #{caller_locations(1, 1).first}"
end

def until_gone
  deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + TTL_PATIENCE_S
  until yield
    raise "a TTL of 1 s lasted #{TTL_PATIENCE_S} s" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline

    sleep 0.02
  end
end

def set_get_delete(client)
  check client.get("key").nil?
  check client.set("key", "value")
  check client.get("key") == "value"
  check !client.add("key", "other")
  check client.replace("key", "second", 0, raw: true)
  client.replace("missing", "second") # Answered with 0, not with false.
  check client.get("missing").nil?
  check client.append("key", "-end")
  check client.prepend("key", "start-")
  check client.get("key", raw: true) == "start-second-end"
  client.set("object", { marshalled: [1, 2.5, nil] })
  check client.get("object") == { marshalled: [1, 2.5, nil] }
  check client.fetch("fetched", 100) { "made" } == "made"
  check client.fetch("fetched", 100) { "made again" } == "made"
  check client.delete("key")
  check !client.delete("key")
end

def many_keys(client)
  values = (0...500).to_h { |i| ["many-#{i}", "value #{i}"] }
  client.multi { values.each { |key, value| client.set(key, value) } } # quiet sets, then one noop
  check client.get_multi(values.keys + ["missing"]) == values
end

def compare_and_swap(client)
  client.set("cas", 1)
  value, unique = client.get_cas("cas")
  check value == 1
  check client.set_cas("cas", 2, unique)
  check !client.set_cas("cas", 3, unique)
  check client.cas("cas") { |old| old + 1 }
  check client.get("cas") == 3
  check client.get_multi_cas("cas", "missing").keys == ["cas"]
  check !client.delete_cas("cas", unique)
end

def counters(client)
  check client.incr("count", 1).nil?
  check client.incr("count", 1, 100, 10) == 10
  check client.incr("count", 5) == 15
  check client.decr("count", 7) == 8
  check client.decr("count", 100).zero?
  client.set("word", "word", 0, raw: true)
  refused(Dalli::DalliError) { client.incr("word", 1) }
end

def expiry(client)
  client.set("short", "x", 1)
  client.set("long", "x", 100)
  client.set("touched", "x", 100)
  client.set("got", "x", 100)
  check client.touch("touched", 1)
  check !client.touch("missing", 100)
  check client.gat("got", 1) == "x"
  until_gone { client.get_multi("short", "touched", "got").empty? }
  check client.get("long") == "x"
end

def large_values(client)
  random = Random.new(1)
  SIZES_BYTES.each do |size|
    value = random.bytes(size)
    client.set("large", value, 0, raw: true)
    check client.get("large", raw: true) == value
  end
  refused(Dalli::DalliError) { client.set("large", random.bytes(2 << 20), 0, raw: true) }
  client.set("large", "small")
  check client.get("large") == "small"
end

def admin(client)
  check client.version.values.all?
  check client.stats.values.first["get_hits"].to_i.positive?
  client.set("flushed", "x")
  client.flush
  check client.get("flushed").nil?
end

port, username, password = ARGV
options = { username: username, password: password, socket_timeout: 10, value_max_bytes: 4 << 20 }
client = Dalli::Client.new("127.0.0.1:#{port}", options)
%i[set_get_delete many_keys compare_and_swap counters expiry large_values admin].each { |part| send(part, client) }
client.close
puts "all passed"
