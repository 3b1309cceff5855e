// Closing a channel says that no more values will come.
package main

import "fmt"

func trySend(jobs chan<- int, job int) (sent bool) {
	defer func() { recover() }() // a send to a closed channel panics
	jobs <- job
	return true
}

func main() {
	jobs := make(chan int, 5)
	done := make(chan struct{})

	go func() {
		defer close(done)
		for {
			job, more := <-jobs
			if !more {
				fmt.Println("received all jobs")
				return
			}
			fmt.Println("received job", job)
		}
	}()

	for job := 1; job <= 3; job++ {
		jobs <- job
	}
	close(jobs)
	<-done

	_, open := <-jobs
	fmt.Println("open:", open)
	fmt.Println("sent after close:", trySend(jobs, 4))
}
