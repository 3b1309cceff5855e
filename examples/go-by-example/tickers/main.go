// Doing something again and again, at regular times.
package main

import (
	"fmt"
	"time"
)

func main() {
	const period = 5 * time.Millisecond
	begin := time.Now()
	ticker := time.NewTicker(period)
	for tick := 1; tick <= 3; tick++ {
		<-ticker.C
		fmt.Println("tick", tick)
	}
	ticker.Stop()
	fmt.Println("took three periods:", time.Since(begin) >= 3*period)
}
