//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// TWICE is sixteen bytes: eight, and the same again.
#define TWICE(name, word) \
	DATA name<>+0(SB)/8, $word \
	DATA name<>+8(SB)/8, $word \
	GLOBL name<>(SB), RODATA|NOPTR, $16

TWICE(zero, 0x3030303030303030)
TWICE(nine, 0x0909090909090909)
TWICE(quotes, 0x2222222222222222)
TWICE(escapes, 0x5c5c5c5c5c5c5c5c)
TWICE(spaces, 0x2020202020202020)

// What neighbours are multiplied with: digits of pairs, pairs of fours, fours of eights.
TWICE(pairs, 0x010a010a010a010a)
TWICE(fours, 0x0001006400010064)
TWICE(eights, 0x0001271000012710)

// What the halves of a mantissa are multiplied with, as IEEE bits: 10^8, 1.
DATA halves<>+0(SB)/8, $0x4197d78400000000
DATA halves<>+8(SB)/8, $0x3ff0000000000000
GLOBL halves<>(SB), RODATA|NOPTR, $16

// From n on: the shuffle that makes n bytes the last of sixteen, behind zeros.
DATA last<>+0(SB)/8, $0x8080808080808080
DATA last<>+8(SB)/8, $0x8080808080808080
DATA last<>+16(SB)/8, $0x0706050403020100
DATA last<>+24(SB)/8, $0x0f0e0d0c0b0a0908
GLOBL last<>(SB), RODATA|NOPTR, $32

// From n on: a mask of the last n of sixteen bytes.
DATA ends<>+0(SB)/8, $0
DATA ends<>+8(SB)/8, $0
DATA ends<>+16(SB)/8, $0xffffffffffffffff
DATA ends<>+24(SB)/8, $0xffffffffffffffff
GLOBL ends<>(SB), RODATA|NOPTR, $32

// ENDS stops unless the value, of R12 bytes, is followed by a comma or a brace.
#define ENDS(ok) \
	MOVBLZX (SI)(R12*1), CX \
	CMPB CX, $','            \
	JEQ  ok                  \
	CMPB CX, $'}'            \
	JNE  stop

// LATER lists the value for the caller.
#define LATER(column) \
	MOVQ longs+96(FP), CX    \
	CMPQ CX, room+72(FP)     \
	JGE  stop                \
	MOVQ long+64(FP), DI     \
	MOVL column, (DI)(CX*4)  \
	INCQ CX                  \
	MOVQ CX, longs+96(FP)    \
	MOVQ SI, DI              \
	SUBQ d+0(FP), DI         \
	LEAQ (DI)(R12*1), CX     \
	SHLQ $32, DI             \
	ORQ  CX, DI              \
	MOVQ DI, (R9)(AX*8)

// func readRun(d *byte, size, at int, columns *column, i int32, sifted bool, words, named, set *uint64, long *int32, room int) (end int, last int32, longs int, done bool)
//
// AX is the column, DX where it stands, BX the member, SI its value, R12 the value's
// size. R8 is the last place where a value may begin.
TEXT ·readRun(SB), NOSPLIT, $0-105
	MOVQ    d+0(FP), R8
	MOVQ    at+16(FP), BX
	ADDQ    R8, BX
	ADDQ    size+8(FP), R8
	SUBQ    $(const_windowRest+1), R8
	MOVLQSX i+32(FP), AX
	MOVQ    words+40(FP), R9
	MOVQ    named+48(FP), R10
	MOVQ    set+56(FP), R11
	MOVL    $-1, last+88(FP)
	MOVQ    $0, longs+96(FP)
	MOVB    $0, done+104(FP)
	VMOVDQU zero<>(SB), X8
	VMOVDQU nine<>(SB), X9
	VMOVDQU quotes<>(SB), X10
	VMOVDQU escapes<>(SB), X11
	VMOVDQU spaces<>(SB), X12

next:
	MOVWLZX -1(BX), CX
	CMPL    CX, $0x222c // ,"
	JNE     odd

member:
	TESTL AX, AX
	JLT   stop
	IMUL3Q $column__size, AX, DX
	ADDQ  columns+24(FP), DX

	// Is it the one that came here last?
	MOVQ    (column_key+8)(DX), CX
	LEAQ    (BX)(CX*1), SI
	CMPQ    SI, R8
	JHI     stop
	PREFETCHT0 320(SI)
	VMOVDQU -16(SI), X0
	VPXOR   column_foot(DX), X0, X0
	CMPQ    CX, $16
	JHI     longKey
	SHLL    $4, CX
	LEAQ    ·keyMasks(SB), DI
	VPTEST  (DI)(CX*1), X0
	JNE     stop

named:
	MOVL AX, CX
	SHRL $6, CX
	MOVQ (R10)(CX*8), DI
	BTQ  AX, DI
	JCS  stop
	CMPB (SI), $' '
	JEQ  space

value:
	CMPB    sifted+36(FP), $0
	JNE     pass
	MOVBLZX column_typ(DX), CX
	TESTL   CX, CX
	JEQ     number
	CMPL    CX, $const_cellText
	JLS     text
	CMPL    CX, $const_cellBoolean
	JEQ     literal
	JMP     stop

pass:
	CMPB (SI), $'"'
	JEQ  text

number:
	// CX marks what are no digits, without the minus, which R13 is; R14 is where the digits
	// before the point end.
	VMOVDQU   (SI), X0
	VPSUBB    X8, X0, X0
	VPMINUB   X9, X0, X1
	VPCMPEQB  X0, X1, X1
	VPMOVMSKB X1, CX
	VPAND     X1, X0, X0
	XORL      R13, R13
	CMPB      (SI), $'-'
	SETEQ     R13
	NOTL      CX
	XORL      R13, CX
	TZCNTL    CX, R14
	MOVL      R14, R12
	CMPB      (SI)(R14*1), $'.'
	JNE       whole
	BLSRL     CX, CX
	TZCNTL    CX, R12

whole:
	CMPL    R12, $15
	JHI     long

ended:
	MOVBLZX (SI)(R12*1), CX
	CMPB    CX, $','
	JNE     lastNumber

grammar:
	// A digit before the point, and after it; no zero before others.
	MOVL    R14, CX
	SUBL    R13, CX
	SUBL    $1, CX
	JLT     stop
	MOVBLZX (SI)(R13*1), DI
	XORL    $'0', DI
	CMPL    DI, $1
	SBBL    DI, DI
	TESTL   DI, CX
	JNE     stop
	MOVL    R12, DI
	SUBL    R14, DI
	CMPL    DI, $1
	JEQ     stop
	CMPB    sifted+36(FP), $0
	JNE     commit
	CMPL    R12, $15
	JHI     later

	// The digits behind each other, without the point.
	LEAQ    last<>(SB), CX
	VPSHUFB (CX)(R12*1), X0, X0
	TESTL   DI, DI
	JEQ     digits
	DECL    DI
	LEAQ    ends<>(SB), CX
	VMOVDQU (CX)(DI*1), X2
	VPSLLDQ $1, X0, X1
	VPBLENDVB X2, X0, X1, X0

digits:
	// A mantissa below 10^15 and the power are exact, so one division rounds once.
	VPMADDUBSW pairs<>(SB), X0, X0
	VPMADDWD   fours<>(SB), X0, X0
	VPACKUSDW  X0, X0, X0
	VPMADDWD   eights<>(SB), X0, X0
	VCVTDQ2PD  X0, X0
	VMULPD     halves<>(SB), X0, X0
	VUNPCKHPD  X0, X0, X1
	VADDSD     X1, X0, X0
	LEAQ       ·powersOfTen(SB), R14
	VDIVSD     (R14)(DI*8), X0, X0
	SHLQ       $63, R13
	VMOVQ      R13, X1
	VORPS      X1, X0, X0
	CMPB       column_bounded(DX), $0
	JEQ        within
	VUCOMISD   column_min(DX), X0
	JCS        stop
	VUCOMISD   column_max(DX), X0
	JHI        stop

within:
	VMOVSD     X0, (R9)(AX*8)

set:
	MOVL AX, CX
	SHRL $6, CX
	MOVQ (R11)(CX*8), DI
	BTSQ AX, DI
	MOVQ DI, (R11)(CX*8)

commit:
	MOVL    AX, CX
	SHRL    $6, CX
	MOVQ    (R10)(CX*8), DI
	BTSQ    AX, DI
	MOVQ    DI, (R10)(CX*8)
	MOVL    AX, last+88(FP)
	LEAQ    1(SI)(R12*1), BX
	MOVLQSX column_follow(DX), AX
	JMP     next

text:
	CMPB      (SI), $'"'
	JNE       literal
	XORL      R12, R12
	VMOVDQU   1(SI), X0
	VPCMPEQB  X10, X0, X1
	VPCMPEQB  X11, X0, X2
	VPCMPGTB  X0, X12, X3 // signed: what is not ASCII, too
	VPOR      X1, X2, X2
	VPOR      X2, X3, X3
	VPMOVMSKB X3, CX
	TESTL     CX, CX
	JEQ       secondHalf

textEnd:
	TZCNTL CX, CX
	ADDL   CX, R12
	CMPB   1(SI)(R12*1), $'"'
	JNE    stop
	ADDL   $2, R12
	ENDS(textEnded)

textEnded:
	CMPB sifted+36(FP), $0
	JNE  commit
	LATER(AX)
	JMP  set

secondHalf:
	MOVL      $16, R12
	VMOVDQU   17(SI), X0
	VPCMPEQB  X10, X0, X1
	VPCMPEQB  X11, X0, X2
	VPCMPGTB  X0, X12, X3
	VPOR      X1, X2, X2
	VPOR      X2, X3, X3
	VPMOVMSKB X3, CX
	TESTL     CX, CX
	JNE       textEnd
	JMP       stop

long:
	// The same with 32 bytes.
	VMOVDQU   16(SI), X2
	VPSUBB    X8, X2, X2
	VPMINUB   X9, X2, X3
	VPCMPEQB  X2, X3, X3
	VPMOVMSKB X1, CX
	VPMOVMSKB X3, DI
	SHLL      $16, DI
	ORL       DI, CX
	NOTL      CX
	XORL      R13, CX
	TZCNTL    CX, R14
	CMPL      R14, $31
	JHI       stop
	MOVL      R14, R12
	CMPB      (SI)(R14*1), $'.'
	JNE       ended
	BLSRL     CX, CX
	TZCNTL    CX, R12
	CMPL      R12, $31
	JHI       stop
	JMP       ended

later:
	MOVL AX, R14
	NOTL R14
	LATER(R14)
	JMP  commit

lastNumber:
	CMPB CX, $'}'
	JEQ  grammar

literal:
	MOVL $4, R12
	MOVL (SI), CX
	CMPL CX, $0x6c6c756e // null
	JEQ  null
	CMPB sifted+36(FP), $0
	JNE  truth
	CMPB column_typ(DX), $const_cellBoolean
	JNE  stop

truth:
	MOVL $1, R13
	CMPL CX, $0x65757274 // true
	JEQ  truthEnd
	CMPL CX, $0x736c6166 // fals
	JNE  stop
	CMPB 4(SI), $'e'
	JNE  stop
	MOVL $5, R12
	XORL R13, R13

truthEnd:
	ENDS(truthEnded)

truthEnded:
	CMPB sifted+36(FP), $0
	JNE  commit
	MOVQ R13, (R9)(AX*8)
	JMP  set

null:
	ENDS(commit)
	JMP commit

space:
	INCQ SI
	JMP  value

longKey:
	CMPQ    CX, $32
	JHI     stop
	MOVQ    column_key(DX), DI
	VMOVDQU (BX), X1
	VPXOR   (DI), X1, X1
	VPOR    X1, X0, X0
	VPTEST  X0, X0
	JEQ     named
	JMP     stop

odd:
	// The first member of a run, the end of the object, or a space after the comma.
	CMPB CX, $'}'
	JEQ  end
	SHRL $8, CX
	CMPB CX, $'"'
	JEQ  member
	CMPB CX, $' '
	JNE  stop
	INCQ BX
	CMPB (BX), $'"'
	JEQ  member
	JMP  stop

end:
	MOVB $1, done+104(FP)

stop:
	SUBQ d+0(FP), BX
	MOVQ BX, end+80(FP)
	RET
