// spymemcached. Second argument: text or binary. Further ones: user and password.

import static net.spy.memcached.ConnectionFactoryBuilder.Protocol;

import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import net.spy.memcached.CASResponse;
import net.spy.memcached.CASValue;
import net.spy.memcached.ConnectionFactoryBuilder;
import net.spy.memcached.MemcachedClient;
import net.spy.memcached.auth.AuthDescriptor;
import net.spy.memcached.auth.PlainCallbackHandler;
import net.spy.memcached.transcoders.SerializingTranscoder;

public class SpymemcachedTour {
    static final long TTL_PATIENCE_MS = 5000;
    static final int[] SIZES_BYTES = {0, 1, 1000, 16_384, 100_000, 1_000_000};

    static void check(boolean holds) {
        if (!holds) {
            throw new AssertionError();
        }
    }

    static boolean done(Future<Boolean> answer) throws Exception {
        return answer.get(10, TimeUnit.SECONDS);
    }

    static void setGetDelete(MemcachedClient client) throws Exception {
        check(client.get("key") == null);
        check(done(client.set("key", 0, "value")));
        check(client.get("key").equals("value"));
        check(!done(client.add("key", 0, "other")));
        check(done(client.replace("key", 0, "second")));
        check(!done(client.replace("missing", 0, "second")));
        check(done(client.append("key", "-end")) && done(client.prepend("key", "start-")));
        check(client.get("key").equals("start-second-end"));
        check(done(client.set("object", 0, new ArrayList<>(Arrays.asList(1, "two")))));
        check(client.get("object").equals(Arrays.asList(1, "two")));
        check(done(client.delete("key")));
        check(!done(client.delete("key")));
    }

    static void manyKeys(MemcachedClient client) throws Exception {
        Map<String, Object> values = new HashMap<>();
        List<Future<Boolean>> answers = new ArrayList<>();
        for (int i = 0; i < 500; i++) {
            values.put("many-" + i, "value " + i);
            answers.add(client.set("many-" + i, 0, "value " + i));
        }
        for (Future<Boolean> answer : answers) {
            check(done(answer));
        }
        List<String> keys = new ArrayList<>(values.keySet());
        keys.add("missing");
        check(client.getBulk(keys).equals(values));
    }

    static void compareAndSwap(MemcachedClient client) throws Exception {
        check(done(client.set("cas", 0, "1")));
        CASValue<Object> found = client.gets("cas");
        check(found.getValue().equals("1"));
        check(client.cas("cas", found.getCas(), "2") == CASResponse.OK);
        check(client.cas("cas", found.getCas(), "3") == CASResponse.EXISTS);
        check(client.cas("missing", found.getCas(), "3") == CASResponse.NOT_FOUND);
        check(client.get("cas").equals("2"));
    }

    static void counters(MemcachedClient client) throws Exception {
        check(client.incr("count", 1) == -1);
        check(client.incr("count", 1, 10) == 10);
        check(client.incr("count", 5) == 15);
        check(client.decr("count", 7) == 8);
        check(client.decr("count", 100) == 0);
    }

    static void expiry(MemcachedClient client) throws Exception {
        check(done(client.set("short", 1, "x")) && done(client.set("long", 100, "x")));
        check(done(client.set("touched", 100, "x")) && done(client.touch("touched", 1)));
        long deadline = System.currentTimeMillis() + TTL_PATIENCE_MS;
        while (!client.getBulk("short", "touched").isEmpty()) {
            check(System.currentTimeMillis() < deadline);
            Thread.sleep(20);
        }
        check(client.get("long").equals("x"));
    }

    static void largeValues(MemcachedClient client) throws Exception {
        for (int size : SIZES_BYTES) {
            byte[] value = new byte[size];
            new Random(size).nextBytes(value);
            check(done(client.set("large", 0, value)));
            check(Arrays.equals((byte[]) client.get("large"), value));
        }
        byte[] tooLarge = new byte[2 << 20];
        new Random(1).nextBytes(tooLarge);
        try {
            check(!done(client.set("large", 0, tooLarge)));
        } catch (java.util.concurrent.ExecutionException refused) {
            // The text protocol's way: an exception.
        }
        check(done(client.set("large", 0, "small")));
        check(client.get("large").equals("small"));
    }

    static void admin(MemcachedClient client) throws Exception {
        check(client.getVersions().size() == 1);
        check(Long.parseLong(client.getStats().values().iterator().next().get("get_hits")) > 0);
        check(done(client.set("flushed", 0, "x")) && done(client.flush()));
        check(client.get("flushed") == null);
    }

    public static void main(String[] arguments) throws Exception {
        System.setProperty("net.spy.log.LoggerImpl", "net.spy.memcached.compat.log.SunLogger");
        java.util.logging.Logger.getLogger("net.spy.memcached").setLevel(java.util.logging.Level.OFF);
        Protocol protocol = Map.of("text", Protocol.TEXT, "binary", Protocol.BINARY).get(arguments[1]);
        SerializingTranscoder transcoder = new SerializingTranscoder(4 << 20);
        ConnectionFactoryBuilder builder = new ConnectionFactoryBuilder()
            .setProtocol(protocol).setOpTimeout(10_000).setTranscoder(transcoder);
        if (arguments.length == 4) {
            PlainCallbackHandler login = new PlainCallbackHandler(arguments[2], arguments[3]);
            builder.setAuthDescriptor(new AuthDescriptor(new String[] {"PLAIN"}, login));
        }
        MemcachedClient client = new MemcachedClient(
            builder.build(),
            List.of(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0]))));
        setGetDelete(client);
        manyKeys(client);
        compareAndSwap(client);
        counters(client);
        expiry(client);
        largeValues(client);
        admin(client);
        client.shutdown();
        System.out.println("all passed");
    }
}
