// Receiving until the channel is closed.
package main

import "fmt"

func main() {
	queue := make(chan string, 2)
	queue <- "one"
	queue <- "two"
	close(queue)

	// What was sent before the close is still received.
	for element := range queue {
		fmt.Println(element)
	}
}
