// Doing something once, at a later time.
package main

import (
	"fmt"
	"time"
)

func main() {
	timer1 := time.NewTimer(time.Millisecond)
	<-timer1.C
	fmt.Println("timer 1 fired")

	timer2 := time.NewTimer(time.Hour)
	fmt.Println("timer 2 stopped:", timer2.Stop())
	fmt.Println("stopped again:", timer2.Stop())

	timer3 := time.NewTimer(time.Hour)
	fmt.Println("timer 3 was active:", timer3.Reset(time.Millisecond))
	<-timer3.C
	fmt.Println("timer 3 fired")

	called := make(chan struct{})
	time.AfterFunc(time.Millisecond, func() { close(called) })
	<-called
	fmt.Println("function called")
}
