// Channel operations that don't wait.
package main

import "fmt"

func main() {
	messages := make(chan string)
	signals := make(chan bool)

	select {
	case message := <-messages:
		fmt.Println("received", message)
	default:
		fmt.Println("no message received")
	}

	select {
	case messages <- "hi":
		fmt.Println("sent")
	default:
		fmt.Println("no message sent")
	}

	select {
	case message := <-messages:
		fmt.Println("received", message)
	case signal := <-signals:
		fmt.Println("signal", signal)
	default:
		fmt.Println("no activity")
	}
}
