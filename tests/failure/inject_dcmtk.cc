// SPDX-License-Identifier: GPL-3.0-or-later
//
// operator new of the whole program, DCMTK and the C++ library included, made to fail: a definition in the program goes before
// theirs. DCMTK loses a block or two when memory runs out in the middle of its work; what counts as lost is therefore what our own
// C++ obtained, whose calls come through -Wl,--wrap as in inject_cxx.cc.
#include <cstddef>
#include <new>

#include "tests/failure/inject.h"

#ifdef ISO_SANITIZED
#include <sanitizer/lsan_interface.h>
#endif

// malloc itself is wrapped, and would count once more.
extern "C" {
void *__real_malloc(std::size_t size);
void __real_free(void *pointer);
void *__wrap__Znwm(std::size_t size);
void *__wrap__Znam(std::size_t size);
void __wrap__ZdlPv(void *pointer);
void __wrap__ZdlPvm(void *pointer, std::size_t size);
void __wrap__ZdaPv(void *pointer);
}

static void *obtain(std::size_t size) noexcept
{
	return iso_inject_fails() ? nullptr : __real_malloc(size ? size : 1);
}

// Of the libraries: the leak sanitizer does not look for it, either.
static void *obtain_unwatched(std::size_t size) noexcept
{
#ifdef ISO_SANITIZED
	const __lsan::ScopedDisabler unwatched;
#endif
	return obtain(size);
}

static void *or_throw(void *pointer)
{
	if (!pointer) throw std::bad_alloc();
	return pointer;
}

// What one side obtained the other may give back.
static void give_back(void *pointer) noexcept
{
	iso_inject_remove(pointer);
	__real_free(pointer);
}

extern "C" {
void *__wrap__Znwm(std::size_t size)
{
	void *pointer = or_throw(obtain(size));
	iso_inject_add(pointer);
	return pointer;
}

void *__wrap__Znam(std::size_t size)
{
	return __wrap__Znwm(size);
}

void __wrap__ZdlPv(void *pointer)
{
	give_back(pointer);
}

void __wrap__ZdlPvm(void *pointer, std::size_t)
{
	give_back(pointer);
}

void __wrap__ZdaPv(void *pointer)
{
	give_back(pointer);
}
}

void *operator new(std::size_t size)
{
	return or_throw(obtain_unwatched(size));
}

void *operator new[](std::size_t size)
{
	return or_throw(obtain_unwatched(size));
}

void *operator new(std::size_t size, const std::nothrow_t &) noexcept
{
	return obtain_unwatched(size);
}

void *operator new[](std::size_t size, const std::nothrow_t &) noexcept
{
	return obtain_unwatched(size);
}

void operator delete(void *pointer) noexcept
{
	give_back(pointer);
}

void operator delete[](void *pointer) noexcept
{
	give_back(pointer);
}

void operator delete(void *pointer, std::size_t) noexcept
{
	give_back(pointer);
}

void operator delete[](void *pointer, std::size_t) noexcept
{
	give_back(pointer);
}

void operator delete(void *pointer, const std::nothrow_t &) noexcept
{
	give_back(pointer);
}

void operator delete[](void *pointer, const std::nothrow_t &) noexcept
{
	give_back(pointer);
}
