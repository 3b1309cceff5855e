// Several goroutines share the work of a stage; their results meet in one channel.
package main

import (
	"fmt"
	"sync"
)

func generate(n int) <-chan int {
	out := make(chan int)
	go func() {
		defer close(out)
		for i := 1; i <= n; i++ {
			out <- i
		}
	}()
	return out
}

func square(in <-chan int) <-chan int {
	out := make(chan int)
	go func() {
		defer close(out)
		for n := range in {
			out <- n * n
		}
	}()
	return out
}

func merge(inputs ...<-chan int) <-chan int {
	out := make(chan int)
	var wg sync.WaitGroup
	for _, input := range inputs {
		wg.Go(func() {
			for n := range input {
				out <- n
			}
		})
	}
	go func() {
		wg.Wait()
		close(out)
	}()
	return out
}

func main() {
	numbers := generate(100)
	sum := 0
	for n := range merge(square(numbers), square(numbers), square(numbers)) {
		sum += n
	}
	fmt.Println("sum of squares:", sum)
}
