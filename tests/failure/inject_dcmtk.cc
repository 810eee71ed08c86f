// SPDX-License-Identifier: GPL-3.0-or-later
//
// operator new of the whole program, DCMTK and the C++ library included, made to fail: a definition in the program goes before
// theirs. DCMTK loses a block or two when memory runs out in the middle of its work; what counts as lost is therefore what our own
// C++ obtained, whose calls come through -Wl,--wrap as in inject_cxx.cc.
#include <cstddef>
#include <new>

#include "tests/failure/inject.h"

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

static void *obtain_or_throw(std::size_t size)
{
	void *pointer = obtain(size);
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
	void *pointer = obtain_or_throw(size);
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
	return obtain_or_throw(size);
}

void *operator new[](std::size_t size)
{
	return obtain_or_throw(size);
}

void *operator new(std::size_t size, const std::nothrow_t &) noexcept
{
	return obtain(size);
}

void *operator new[](std::size_t size, const std::nothrow_t &) noexcept
{
	return obtain(size);
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
