// A chain of goroutines, each of which filters the multiples of one prime.
package main

import "fmt"

func generate(out chan<- int) {
	for n := 2; ; n++ {
		out <- n
	}
}

func filter(in <-chan int, out chan<- int, prime int) {
	for {
		if n := <-in; n%prime != 0 {
			out <- n
		}
	}
}

func main() {
	numbers := make(chan int)
	go generate(numbers)
	for range 10 {
		prime := <-numbers
		fmt.Println(prime)
		filtered := make(chan int)
		go filter(numbers, filtered, prime)
		numbers = filtered
	}
}
