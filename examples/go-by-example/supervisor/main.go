// A worker that crashes is started again: with a new state, and with the jobs that wait.
package main

import (
	"errors"
	"fmt"
)

type result struct {
	life, done int
	err        error
}

type job struct {
	name  string
	reply chan result
}

func work(life int, done *int, j job) {
	// The job that crashes is answered, and the panic goes on.
	defer func() {
		if p := recover(); p != nil {
			j.reply <- result{err: errors.New("crashed")}
			panic(p)
		}
	}()
	if j.name == "bad" {
		panic("can't do it")
	}
	*done++
	j.reply <- result{life: life, done: *done}
}

// One life of the worker; true if it ended in order.
func live(life int, jobs <-chan job) (ended bool) {
	defer func() { _ = recover() }()
	done := 0
	for j := range jobs {
		work(life, &done, j)
	}
	fmt.Println("worker stopped after", done)
	return true
}

func main() {
	jobs := make(chan job, 64)
	stopped := make(chan struct{})
	go func() {
		for life := 1; !live(life, jobs); life++ {
		}
		close(stopped)
	}()

	for _, name := range []string{"one", "two", "bad", "three"} {
		j := job{name, make(chan result, 1)}
		jobs <- j
		if r := <-j.reply; r.err != nil {
			fmt.Printf("%s: %v\n", name, r.err)
		} else {
			fmt.Printf("%s: job %d of worker %d\n", name, r.done, r.life)
		}
	}
	close(jobs)
	<-stopped
}
