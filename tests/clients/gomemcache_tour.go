// gomemcache: the text protocol.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"math/rand"
	"os"
	"sync"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

const ttlPatience = 5 * time.Second

var sizesBytes = []int{0, 1, 1000, 16_384, 100_000, 1_000_000}

// check ends the program unless err is the expected one (nil for success).
func check(what string, err, expected error) {
	if !errors.Is(err, expected) {
		log.Fatalf("%s: %v, want %v", what, err, expected)
	}
}

func checkValue(client *memcache.Client, key string, expected []byte) {
	item, err := client.Get(key)
	check("get "+key, err, nil)
	if !bytes.Equal(item.Value, expected) {
		log.Fatalf("get %s: %d bytes, want %d", key, len(item.Value), len(expected))
	}
}

func item(key, value string, ttlSeconds int32) *memcache.Item {
	return &memcache.Item{Key: key, Value: []byte(value), Expiration: ttlSeconds}
}

func setGetDelete(client *memcache.Client) {
	_, err := client.Get("key")
	check("get", err, memcache.ErrCacheMiss)
	check("set", client.Set(&memcache.Item{Key: "key", Value: []byte("value"), Flags: 1<<32 - 1}), nil)
	found, err := client.Get("key")
	check("get", err, nil)
	if string(found.Value) != "value" || found.Flags != 1<<32-1 {
		log.Fatalf("get: %+v", found)
	}
	check("add", client.Add(item("key", "other", 0)), memcache.ErrNotStored)
	check("replace", client.Replace(item("key", "second", 0)), nil)
	check("replace", client.Replace(item("missing", "second", 0)), memcache.ErrNotStored)
	checkValue(client, "key", []byte("second"))
	check("delete", client.Delete("key"), nil)
	check("delete", client.Delete("key"), memcache.ErrCacheMiss)
}

func manyKeys(client *memcache.Client) {
	var keys []string
	var all sync.WaitGroup
	for i := 0; i < 500; i++ {
		key := fmt.Sprintf("many-%d", i)
		keys = append(keys, key)
		all.Add(1)
		go func() {
			defer all.Done()
			check("set", client.Set(item(key, "value of "+key, 0)), nil)
		}()
	}
	all.Wait()
	found, err := client.GetMulti(append(keys, "missing"))
	check("get", err, nil)
	if len(found) != len(keys) {
		log.Fatalf("get: %d items", len(found))
	}
	for _, key := range keys {
		if string(found[key].Value) != "value of "+key {
			log.Fatalf("get %s: %s", key, found[key].Value)
		}
	}
}

func compareAndSwap(client *memcache.Client) {
	check("set", client.Set(item("cas", "1", 0)), nil)
	mine, err := client.Get("cas")
	check("gets", err, nil)
	others, err := client.Get("cas")
	check("gets", err, nil)
	mine.Value = []byte("2")
	check("cas", client.CompareAndSwap(mine), nil)
	check("cas", client.CompareAndSwap(others), memcache.ErrCASConflict)
	checkValue(client, "cas", []byte("2"))
	check("delete", client.Delete("cas"), nil)
	check("cas", client.CompareAndSwap(mine), memcache.ErrCacheMiss)
}

func counters(client *memcache.Client) {
	_, err := client.Increment("count", 1)
	check("incr", err, memcache.ErrCacheMiss)
	check("set", client.Set(item("count", "10", 0)), nil)
	for _, step := range []struct {
		change func(string, uint64) (uint64, error)
		delta  uint64
		result uint64
	}{{client.Increment, 5, 15}, {client.Decrement, 7, 8}, {client.Decrement, 100, 0}} {
		value, err := step.change("count", step.delta)
		check("incr or decr", err, nil)
		if value != step.result {
			log.Fatalf("incr or decr: %d, want %d", value, step.result)
		}
	}
	check("set", client.Set(item("word", "word", 0)), nil)
	if _, err := client.Increment("word", 1); err == nil {
		log.Fatal("incr of a word went through")
	}
}

func expiry(client *memcache.Client) {
	check("set", client.Set(item("short", "x", 1)), nil)
	check("set", client.Set(item("long", "x", 100)), nil)
	check("set", client.Set(item("touched", "x", 100)), nil)
	check("touch", client.Touch("touched", 1), nil)
	check("touch", client.Touch("missing", 100), memcache.ErrCacheMiss)
	deadline := time.Now().Add(ttlPatience)
	for {
		found, err := client.GetMulti([]string{"short", "touched"})
		check("get", err, nil)
		if len(found) == 0 {
			break
		}
		if time.Now().After(deadline) {
			log.Fatalf("a TTL of 1 s lasted %v", ttlPatience)
		}
		time.Sleep(20 * time.Millisecond)
	}
	checkValue(client, "long", []byte("x"))
}

func largeValues(client *memcache.Client) {
	for _, size := range sizesBytes {
		value := make([]byte, size)
		rand.Read(value)
		check("set", client.Set(&memcache.Item{Key: "large", Value: value}), nil)
		checkValue(client, "large", value)
	}
	if err := client.Set(&memcache.Item{Key: "large", Value: make([]byte, 2<<20)}); err == nil {
		log.Fatal("2 MiB were stored")
	}
	check("set", client.Set(item("large", "small", 0)), nil)
	checkValue(client, "large", []byte("small"))
}

func main() {
	client := memcache.New("127.0.0.1:" + os.Args[1])
	client.Timeout = 10 * time.Second
	setGetDelete(client)
	manyKeys(client)
	compareAndSwap(client)
	counters(client)
	expiry(client)
	largeValues(client)
	check("flush_all", client.FlushAll(), nil)
	_, err := client.Get("long")
	check("get after flush_all", err, memcache.ErrCacheMiss)
	fmt.Println("all passed")
}
