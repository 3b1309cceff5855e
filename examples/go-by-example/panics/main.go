// A panic in a goroutine ends the whole program, unless that goroutine recovers from it.
package main

import "fmt"

func divide(a, b int) (result int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the goroutine panicked: b must not be %d", b)
		}
	}()
	return a / b, nil
}

func main() {
	type answer struct {
		result int
		err    error
	}
	answers := make(chan answer)
	for _, b := range []int{4, 0} {
		go func() {
			result, err := divide(12, b)
			answers <- answer{result, err}
		}()
		got := <-answers
		if got.err != nil {
			fmt.Println(got.err)
		} else {
			fmt.Println("12 /", b, "=", got.result)
		}
	}
	fmt.Println("main goes on")
}
