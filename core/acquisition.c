/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "isotrace/acquisition.h"

#include <math.h>
#include <string.h>

const char *iso_modality_text(iso_modality modality)
{
	return modality == ISO_MODALITY_PET ? "PET" : modality == ISO_MODALITY_SPECT ? "SPECT" : "unknown";
}

iso_modality iso_modality_from_text(const char *text)
{
	if (strcmp(text, "PET") == 0) return ISO_MODALITY_PET;
	if (strcmp(text, "SPECT") == 0) return ISO_MODALITY_SPECT;
	return ISO_MODALITY_UNKNOWN;
}

iso_acquisition iso_acquisition_unknown(void)
{
	return (iso_acquisition){
	    .start_utc_s = (double)NAN,
	    .duration_s = (double)NAN,
	    .injection_utc_s = (double)NAN,
	    .injected_activity_bq = (double)NAN,
	    .energy_window_kev = {(double)NAN, (double)NAN},
	    .energy_resolution = (double)NAN,
	    .half_life_s = (double)NAN,
	    .branching_fraction = (double)NAN,
	};
}
