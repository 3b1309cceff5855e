// A lock around a map that several goroutines change.
package main

import (
	"fmt"
	"sync"
)

type container struct {
	mu       sync.Mutex
	counters map[string]int
}

func (c *container) inc(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counters[name]++
}

func main() {
	c := container{counters: map[string]int{"a": 0, "b": 0}}
	var wg sync.WaitGroup
	increment := func(name string, n int) {
		for range n {
			c.inc(name)
		}
	}
	wg.Go(func() { increment("a", 1000) })
	wg.Go(func() { increment("a", 1000) })
	wg.Go(func() { increment("b", 1000) })
	wg.Wait()
	fmt.Println("a:", c.counters["a"])
	fmt.Println("b:", c.counters["b"])
}
