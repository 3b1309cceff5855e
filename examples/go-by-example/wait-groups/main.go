// Waiting for many goroutines.
package main

import (
	"fmt"
	"sync"
)

func main() {
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		finished int
	)
	for range 5 {
		wg.Go(func() {
			mu.Lock()
			defer mu.Unlock()
			finished++
		})
	}
	wg.Wait()
	fmt.Println("finished:", finished)

	// By hand: announce before starting, and say when it is done.
	wg.Add(1)
	go func() {
		defer wg.Done()
		fmt.Println("one more")
	}()
	wg.Wait()
	fmt.Println("all done")
}
