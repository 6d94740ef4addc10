package simulate

// label is the label of a prediction that is still to come.
type label struct {
	due int64 // nanoseconds
	n   int64
}

func (a label) before(b label) bool { return a.due < b.due || a.due == b.due && a.n < b.n }

// labelQueue is a binary heap of labels, the next one first.
type labelQueue struct{ heap []label }

func (q *labelQueue) empty() bool { return len(q.heap) == 0 }
func (q *labelQueue) min() label  { return q.heap[0] }
func (q *labelQueue) reset()      { q.heap = q.heap[:0] }

func (q *labelQueue) push(l label) {
	q.heap = append(q.heap, l)
	for i := len(q.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !q.heap[i].before(q.heap[parent]) {
			return
		}
		q.heap[i], q.heap[parent] = q.heap[parent], q.heap[i]
		i = parent
	}
}

func (q *labelQueue) pop() label {
	top := q.heap[0]
	last := len(q.heap) - 1
	q.heap[0] = q.heap[last]
	q.heap = q.heap[:last]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if q.heap[child].before(q.heap[least]) {
				least = child
			}
		}
		if least == i {
			return top
		}
		q.heap[i], q.heap[least] = q.heap[least], q.heap[i]
		i = least
	}
}
