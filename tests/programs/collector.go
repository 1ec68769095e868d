package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strings"
	"sync"
)

type tree struct{ left, right *tree }

func grow(depth int) *tree {
	if depth == 0 {
		return &tree{}
	}
	return &tree{grow(depth - 1), grow(depth - 1)}
}

func (t *tree) count() int {
	if t.left == nil {
		return 1
	}
	return 1 + t.left.count() + t.right.count()
}

func main() {
	runtime.GOMAXPROCS(4)
	numbers := make(chan int)
	sums := make(chan int)
	for i := 0; i < 100; i++ {
		go func() {
			sum := 0
			for n := range numbers {
				sum += n
			}
			sums <- sum
		}()
	}
	for i := 0; i < 10000; i++ {
		numbers <- i
	}
	close(numbers)
	total := 0
	for i := 0; i < 100; i++ {
		total += <-sums
	}
	fmt.Println("sum", total)

	var group sync.WaitGroup
	var mutex sync.Mutex
	counts := map[int]int{}
	kept := grow(12)
	for i := 0; i < 8; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for j := 0; j < 5; j++ {
				n := grow(11).count()
				mutex.Lock()
				counts[n]++
				mutex.Unlock()
			}
		}()
	}
	group.Wait()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	runtime.GC()
	runtime.ReadMemStats(&after)
	fmt.Println("trees", counts[4095], kept.count(), after.NumGC > before.NumGC)

	func() {
		defer func() { fmt.Println("recovered:", recover()) }()
		var nothing *tree
		fmt.Println(nothing.left)
	}()
	words := strings.Fields("the quick brown fox")
	sort.Strings(words)
	fmt.Println(words)
	if err := os.WriteFile("collector.tmp", []byte(strings.Join(words, " ")), 0o600); err != nil {
		fmt.Println(err)
	}
	text, err := os.ReadFile("collector.tmp")
	os.Remove("collector.tmp")
	fmt.Println(string(text), err)
	os.Exit(6)
}
