// Waiting for a result, but not for ever.
package main

import (
	"fmt"
	"time"
)

func main() {
	// Nothing is ever sent here. The buffer lets a late sender go away.
	never := make(chan string, 1)
	select {
	case result := <-never:
		fmt.Println(result)
	case <-time.After(time.Millisecond):
		fmt.Println("timeout 1")
	}

	soon := make(chan string, 1)
	go func() { soon <- "result 2" }()
	select {
	case result := <-soon:
		fmt.Println(result)
	case <-time.After(time.Hour):
		fmt.Println("timeout 2")
	}
}
