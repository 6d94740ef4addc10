package profile

import "syscall"

// useLargePages asks for large pages, which may be refused: nothing but speed depends on it.
func useLargePages(b []byte) { _ = syscall.Madvise(b, syscall.MADV_HUGEPAGE) }
