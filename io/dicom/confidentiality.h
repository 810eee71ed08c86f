// SPDX-License-Identifier: GPL-3.0-or-later
//
// DICOM PS3.15 (2024b), Table E.1-1, Basic Application Level Confidentiality Profile: the attributes that must not stay as they
// are. Dates and times are not listed: whatever has such a VR is moved (Retain Longitudinal Temporal Information With Modified
// Dates). Of groups 50xx and 60xx, curves and overlays, nothing stays; of private groups neither.
#ifndef ISOTRACE_IO_DICOM_CONFIDENTIALITY_H
#define ISOTRACE_IO_DICOM_CONFIDENTIALITY_H

#include <cstdint>

enum class iso_confidential { keep, remove, empty, dummy, uid };

// What happens to an attribute; keep for those that are not in the table.
iso_confidential iso_confidential_action(std::uint32_t tag);

#endif
