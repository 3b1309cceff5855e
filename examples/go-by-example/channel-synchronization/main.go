// A channel tells that work is finished.
package main

import "fmt"

func worker(done chan<- bool) {
	fmt.Println("working ...")
	fmt.Println("done")
	done <- true
}

func main() {
	done := make(chan bool, 1)
	go worker(done)
	<-done
	fmt.Println("main saw it")
}
