// Doing something once, whoever comes first.
package main

import (
	"fmt"
	"sync"
)

func main() {
	var (
		once sync.Once
		wg   sync.WaitGroup
	)
	for range 10 {
		wg.Go(func() {
			once.Do(func() { fmt.Println("initialised") })
		})
	}
	wg.Wait()

	// A value that is made by whoever needs it first.
	config := sync.OnceValue(func() int {
		fmt.Println("reading the configuration")
		return 8080
	})
	fmt.Println("port", config())
	fmt.Println("port", config())
}
