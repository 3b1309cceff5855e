// A buffered channel takes a number of values before anybody receives them.
package main

import "fmt"

func main() {
	messages := make(chan string, 2)
	messages <- "buffered"
	messages <- "channel"
	fmt.Println("holds", len(messages), "of", cap(messages))

	select {
	case messages <- "too many":
		fmt.Println("sent")
	default:
		fmt.Println("full")
	}

	fmt.Println(<-messages)
	fmt.Println(<-messages)
	fmt.Println("holds", len(messages), "of", cap(messages))
}
