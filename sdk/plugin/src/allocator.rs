//! The guest's memory: an arena that lives as long as one call.
//!
//! The host makes a fresh instance for each call, so nothing needs to be given back. Allocation
//! moves a pointer through [`ARENA`], which is part of the module's initial memory: an ordinary call
//! never grows the memory, which would cost the host a system call under a lock of its whole
//! process. What was allocated last can be freed and resized in place, which is what growing vectors
//! and strings do. When the arena is full, the memory grows by [`STEP`] or by what is asked for.
#![expect(unsafe_code, reason = "an allocator hands out raw memory; the proof stands beside each block")]

use core::{
    alloc::{GlobalAlloc, Layout},
    arch::wasm32,
    cell::{Cell, UnsafeCell},
    ptr,
};

/// More than an invite with a hundred devices needs on its way in and out.
const ARENA_SIZE: usize = 256 * 1024;
/// How much the memory grows at least when the arena is full.
const STEP: usize = 1024 * 1024;
const PAGE: usize = 64 * 1024;

#[global_allocator]
static ALLOCATOR: Bump = Bump { next: Cell::new(0), end: Cell::new(0) };

static ARENA: Arena = Arena(UnsafeCell::new([0; ARENA_SIZE]));

#[repr(align(16))]
struct Arena(UnsafeCell<[u8; ARENA_SIZE]>);

/// Free memory is from `next` up to `end`, both addresses; both 0 before the first allocation.
struct Bump {
    next: Cell<usize>,
    end: Cell<usize>,
}

// SAFETY: a guest has one thread (the host offers no threads, and the target has no atomics), so
// nothing is ever shared between threads.
unsafe impl Sync for Bump {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

// SAFETY: blocks handed out lie in memory that belongs to the allocator alone (the arena, or pages
// that `memory.grow` just made), are aligned, and do not overlap: `next` only moves back over the
// block that was handed out last, and only when that block is freed or shrinks.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.end.get() == 0 {
            self.next.set(ARENA.0.get().addr());
            self.end.set(ARENA.0.get().addr() + ARENA_SIZE);
        }
        self.take(layout)
            .or_else(|| self.grow(layout))
            .map_or(ptr::null_mut(), ptr::with_exposed_provenance_mut)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if self.is_last(block, layout.size()) {
            self.next.set(block.addr());
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if self.is_last(block, layout.size()) {
            let end = block.addr().checked_add(size);
            if let Some(end) = end.filter(|&end| end <= self.end.get()) {
                self.next.set(end);
                return block;
            }
        }
        // SAFETY: the caller of `realloc` promises that `size` is fit for a layout of this alignment.
        let new = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !new.is_null() {
            // SAFETY: both blocks are at least that long, and a new block overlaps none handed out before.
            unsafe { ptr::copy_nonoverlapping(block, new, layout.size().min(size)) };
        }
        new
    }
}

impl Bump {
    fn take(&self, layout: Layout) -> Option<usize> {
        let start = self.next.get().checked_next_multiple_of(layout.align())?;
        let end = start.checked_add(layout.size())?;
        (end <= self.end.get()).then(|| {
            self.next.set(end);
            start
        })
    }

    /// Pages after the end of the memory; they continue the free memory if that reaches up to them.
    fn grow(&self, layout: Layout) -> Option<usize> {
        let wanted = layout.size().checked_add(layout.align())?.max(STEP);
        let pages = wanted.div_ceil(PAGE);
        let before = wasm32::memory_grow(0, pages);
        if before == usize::MAX {
            return None;
        }
        let start = before.checked_mul(PAGE)?;
        if self.end.get() != start {
            self.next.set(start);
        }
        self.end.set(start.checked_add(pages.checked_mul(PAGE)?)?);
        self.take(layout)
    }

    fn is_last(&self, block: *mut u8, size: usize) -> bool {
        block.addr().checked_add(size) == Some(self.next.get())
    }
}
