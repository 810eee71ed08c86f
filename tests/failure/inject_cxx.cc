// SPDX-License-Identifier: GPL-3.0-or-later
//
// operator new and delete of the library's own C++ (the shim over DCMTK), through -Wl,--wrap like malloc.
#include <cstddef>
#include <new>

#include "tests/failure/inject.h"

extern "C" {
void *__real__Znwm(std::size_t size);
void *__real__Znam(std::size_t size);
void __real__ZdlPv(void *pointer);
void __real__ZdlPvm(void *pointer, std::size_t size);
void __real__ZdaPv(void *pointer);
void *__wrap__Znwm(std::size_t size);
void *__wrap__Znam(std::size_t size);
void __wrap__ZdlPv(void *pointer);
void __wrap__ZdlPvm(void *pointer, std::size_t size);
void __wrap__ZdaPv(void *pointer);

void *__wrap__Znwm(std::size_t size)
{
	if (iso_inject_fails()) throw std::bad_alloc();
	void *pointer = __real__Znwm(size);
	iso_inject_add(pointer);
	return pointer;
}

void *__wrap__Znam(std::size_t size)
{
	if (iso_inject_fails()) throw std::bad_alloc();
	void *pointer = __real__Znam(size);
	iso_inject_add(pointer);
	return pointer;
}

void __wrap__ZdlPv(void *pointer)
{
	iso_inject_remove(pointer);
	__real__ZdlPv(pointer);
}

void __wrap__ZdlPvm(void *pointer, std::size_t size)
{
	iso_inject_remove(pointer);
	__real__ZdlPvm(pointer, size);
}

void __wrap__ZdaPv(void *pointer)
{
	iso_inject_remove(pointer);
	__real__ZdaPv(pointer);
}
}
