// State that one goroutine owns; the others ask it through a channel.
package main

import (
	"fmt"
	"sync"
)

type read struct {
	key   string
	reply chan int
}

type write struct {
	key   string
	value int
	reply chan bool
}

func own(reads <-chan read, writes <-chan write) {
	state := map[string]int{}
	for {
		select {
		case op := <-reads:
			op.reply <- state[op.key]
		case op, open := <-writes:
			if !open {
				return
			}
			state[op.key] += op.value
			op.reply <- true
		}
	}
}

func main() {
	reads := make(chan read)
	writes := make(chan write)
	go own(reads, writes)

	var wg sync.WaitGroup
	for n := 1; n <= 10; n++ {
		wg.Go(func() {
			op := write{"sum", n, make(chan bool)}
			writes <- op
			<-op.reply
		})
	}
	wg.Wait()

	op := read{"sum", make(chan int)}
	reads <- op
	fmt.Println("sum:", <-op.reply)
	close(writes)
}
