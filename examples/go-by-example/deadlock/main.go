// Waiting for what can't happen.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

func main() {
	never := make(chan int)
	if len(os.Args) > 1 {
		<-never // nobody sends
		return
	}
	// A deadlock ends the process, so it gets one of its own.
	report, _ := exec.Command(os.Args[0], "wait").CombinedOutput()
	headline, _, _ := strings.Cut(string(report), "\n")
	fmt.Println(strings.TrimPrefix(headline, "fatal error: "))
	fmt.Println("says what it waits for:", strings.Contains(string(report), "[chan receive"))
}
