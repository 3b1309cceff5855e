// Waiting on several channels at once.
package main

import (
	"fmt"
	"time"
)

func main() {
	ones := make(chan string)
	twos := make(chan string)
	quit := make(chan struct{})
	go func() {
		ones <- "one"
		twos <- "two"
		ones <- "three"
		close(quit)
	}()

	for {
		select {
		case message := <-ones:
			fmt.Println("from ones:", message)
		case message := <-twos:
			fmt.Println("from twos:", message)
		case <-quit:
			fmt.Println("quit")
			return
		case <-time.After(time.Hour):
			fmt.Println("nothing for an hour")
			return
		}
	}
}
