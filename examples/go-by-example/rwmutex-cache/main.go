// A cache that many may read at once.
package main

import (
	"fmt"
	"sync"
	"sync/atomic"
)

type cache struct {
	mu     sync.RWMutex
	values map[int]int
	loads  atomic.Int32
}

func (c *cache) get(key int) int {
	c.mu.RLock()
	value, found := c.values[key]
	c.mu.RUnlock()
	if found {
		return value
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	// Look again: between the two locks somebody else may have loaded it.
	if value, found := c.values[key]; found {
		return value
	}
	c.loads.Add(1)
	value = key * key
	c.values[key] = value
	return value
}

func main() {
	c := cache{values: map[int]int{}}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for key := range 10 {
				c.get(key)
			}
		})
	}
	wg.Wait()
	fmt.Println("9 squared:", c.get(9))
	fmt.Println("loads:", c.loads.Load())

	// Two readers at the same time.
	c.mu.RLock()
	fmt.Println("a second reader:", c.mu.TryRLock())
	fmt.Println("a writer meanwhile:", c.mu.TryLock())
}
