// No more than a number of goroutines at the same time.
package main

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

func main() {
	const limit = 3
	places := make(chan struct{}, limit) // a buffered channel is Go's semaphore
	var (
		wg            sync.WaitGroup
		inside, worst atomic.Int32
		finished      atomic.Int32
	)
	for range 20 {
		wg.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()

			now := inside.Add(1)
			for seen := worst.Load(); now > seen && !worst.CompareAndSwap(seen, now); {
				seen = worst.Load()
			}
			runtime.Gosched()
			inside.Add(-1)
			finished.Add(1)
		})
	}
	wg.Wait()
	fmt.Println("finished:", finished.Load())
	fmt.Println("never more than three:", worst.Load() <= limit)

	// Not waiting for a place.
	for range limit {
		places <- struct{}{}
	}
	select {
	case places <- struct{}{}:
		fmt.Println("got a place")
	default:
		fmt.Println("no place free")
	}
}
