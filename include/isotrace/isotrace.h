/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The whole public interface of libisotrace: from a scanner's list-mode export to %ID/g and DICOM.
 * Fallible functions return iso_status and take an iso_error as their last argument (NULL allowed); objects come from
 * _create/_open/_read functions and go with their _free/_close, which accept NULL. */
#ifndef ISOTRACE_H
#define ISOTRACE_H

#include "isotrace/acquisition.h"
#include "isotrace/attenuation.h"
#include "isotrace/biodistribution.h"
#include "isotrace/calibration.h"
#include "isotrace/ct.h"
#include "isotrace/dicom.h"
#include "isotrace/dicom_in.h"
#include "isotrace/dose.h"
#include "isotrace/events.h"
#include "isotrace/exports.h"
#include "isotrace/gantry.h"
#include "isotrace/gates.h"
#include "isotrace/gating.h"
#include "isotrace/image.h"
#include "isotrace/listmode.h"
#include "isotrace/nifti.h"
#include "isotrace/normalisation.h"
#include "isotrace/nuclide.h"
#include "isotrace/organs.h"
#include "isotrace/pacs.h"
#include "isotrace/progress.h"
#include "isotrace/projector.h"
#include "isotrace/recon.h"
#include "isotrace/scanner.h"
#include "isotrace/simulate.h"
#include "isotrace/singles.h"
#include "isotrace/status.h"
#include "isotrace/study.h"
#include "isotrace/time.h"
#include "isotrace/version.h"
#include "isotrace/volume.h"

#endif
