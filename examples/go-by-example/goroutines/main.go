// A goroutine is a function that runs beside its caller.
package main

import (
	"fmt"
	"sync"
)

func greet(name string) string {
	return "hello " + name
}

func main() {
	fmt.Println(greet("directly"))

	// A goroutine returns nothing: each writes to a place of its own, and we wait for all.
	names := []string{"ann", "bob", "cid"}
	greetings := make([]string, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { greetings[i] = greet(name) })
	}
	wg.Wait()
	for _, greeting := range greetings {
		fmt.Println(greeting)
	}

	done := make(chan struct{})
	go func() {
		fmt.Println("an anonymous goroutine")
		close(done)
	}()
	<-done
	fmt.Println("done")
}
