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

// Writes a file through memory (dicom_file.cc); errors name `shown`.
iso_status iso_write_dicom(DcmFileFormat &file, E_TransferSyntax syntax, const char *path, const char *shown,
			   iso_error *err);

#endif
