// Switching an arm of a select off.
package main

import "fmt"

func count(from, to int) <-chan int {
	ch := make(chan int)
	go func() {
		defer close(ch)
		for n := from; n <= to; n++ {
			ch <- n
		}
	}()
	return ch
}

func main() {
	small := count(1, 3)
	large := count(100, 102)
	sum := 0
	for small != nil || large != nil {
		select {
		case n, open := <-small:
			if !open {
				small = nil // a closed channel is always ready, a nil one never
			}
			sum += n
		case n, open := <-large:
			if !open {
				large = nil
			}
			sum += n
		}
	}
	fmt.Println("sum:", sum)
}
