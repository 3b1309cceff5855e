// Telling goroutines to stop, and letting them finish what they have begun.
package main

import "fmt"

// Sends numbers until it is told to stop; says how many.
func produce(stop <-chan struct{}, out chan<- int) int {
	defer close(out)
	for produced := 0; ; produced++ {
		select {
		case out <- produced:
		case <-stop:
			return produced
		}
	}
}

// Receives until the producer has closed the channel; reports when it has had three.
func consume(in <-chan int, enough chan<- struct{}) int {
	consumed := 0
	for range in {
		consumed++
		if consumed == 3 {
			close(enough)
		}
	}
	return consumed
}

func main() {
	stop := make(chan struct{})
	enough := make(chan struct{})
	numbers := make(chan int, 16)
	produced := make(chan int)
	consumed := make(chan int)
	go func() { produced <- produce(stop, numbers) }()
	go func() { consumed <- consume(numbers, enough) }()

	<-enough
	fmt.Println("stopping")
	close(stop) // everybody who receives from it sees this

	p, c := <-produced, <-consumed
	fmt.Println("at least three:", p >= 3)
	fmt.Println("nothing lost:", p == c)
}
