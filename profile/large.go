package profile

import "unsafe"

const (
	largePage = 2 << 20 // bytes
	perPage   = largePage / 8
)

// largeFloats returns n zeros in memory that begins at a large page and, where the system has such pages, is of them: it
// clears one of 2 MiB in a tenth of the time that as much takes in pages of 4 KiB, each when it is first touched.
func largeFloats(n int) []float64 {
	pages := (n + perPage - 1) / perPage
	all := make([]float64, (pages+1)*perPage-1)
	if at := uintptr(unsafe.Pointer(unsafe.SliceData(all))) % largePage; at > 0 {
		all = all[(largePage-at)/8:]
	}
	all = all[:pages*perPage]
	useLargePages(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(all))), pages*largePage))
	return all[:n]
}
