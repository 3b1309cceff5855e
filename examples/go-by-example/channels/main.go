// A channel without a buffer hands a value from one goroutine to another.
package main

import "fmt"

func main() {
	messages := make(chan string)
	go func() { messages <- "ping" }()
	fmt.Println(<-messages)

	// A conversation: each side waits for the other's word.
	balls := make(chan int)
	back := make(chan int)
	go func() {
		for ball := range balls {
			back <- ball + 1
		}
		close(back)
	}()
	ball := 1
	for range 3 {
		balls <- ball
		ball = <-back
		fmt.Println("ball", ball)
	}
	close(balls)
	_, open := <-back
	fmt.Println("open:", open)
}
