// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef ISOTRACE_IO_DICOM_REPORT_H
#define ISOTRACE_IO_DICOM_REPORT_H

#include <string>
#include <vector>

#include "io/dicom/shim.h"

// What an N-EVENT-REPORT of storage commitment says.
struct iso_commitment_report {
	std::string transaction;
	std::vector<std::string> committed, failed;
};
iso_commitment_report iso_read_report(DcmItem *dataset);
// The C side's kind of list; lives as long as the texts do.
std::vector<const char *> iso_pointers(const std::vector<std::string> &texts);

#endif
