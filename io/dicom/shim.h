// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the C++ files share. Nothing may throw into C: every entry is a function whose body stands in iso_guard.
#ifndef ISOTRACE_IO_DICOM_SHIM_H
#define ISOTRACE_IO_DICOM_SHIM_H

#include <exception>
#include <mutex>
#include <new>

#include "dcmtk/config/osconfig.h"
#include "dcmtk/dcmdata/dctk.h"
#include "dcmtk/oflog/oflog.h"

#include "core/error.h"

// DCMTK logs to stderr unless told otherwise, and only for the whole process; a library must not print.
inline void iso_quiet()
{
	static std::once_flag once;
	std::call_once(once, [] { OFLog::configure(OFLogger::OFF_LOG_LEVEL); });
}

template <typename Body> iso_status iso_guard(iso_error *err, Body body) noexcept
{
	try {
		return body();
	} catch (const std::bad_alloc &) {
		return iso_fail_memory(err, "DICOM", 0);
	} catch (const std::exception &e) {
		return iso_fail(err, ISO_IO, nullptr, "report this", "DICOM: %s", e.what());
	} catch (...) {
		return iso_fail(err, ISO_IO, nullptr, "report this", "DICOM: unknown failure");
	}
}

// DCMTK throws when memory runs out, or says so, or says of a value whose buffer it could not have, when that is looked at, that it is in
// no stream. The last is meant only where no value is left on the disk.
inline bool iso_ran_out(const OFCondition &done)
{
	return done == EC_MemoryExhausted || done == EC_InvalidStream;
}

// Was it found? What could not be looked for, for want of memory, is not said to be missing: that is thrown.
inline bool iso_found(const OFCondition &done)
{
	if (done == EC_MemoryExhausted) throw std::bad_alloc();
	return done.good();
}

// Reads a file up to an element, values longer than `longest` staying on the disk (dicom_read.cc). Throws when there is no memory.
OFCondition iso_load(DcmFileFormat &file, const char *path, Uint32 longest, E_FileReadMode mode,
		     const DcmTagKey &until = DCM_UndefinedTagKey);

// Writes a file through memory (dicom_file.cc); errors name `shown`.
iso_status iso_write_dicom(DcmFileFormat &file, E_TransferSyntax syntax, const char *path, const char *shown,
			   iso_error *err);

#endif
