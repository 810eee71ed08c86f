// SPDX-License-Identifier: GPL-3.0-or-later
#include "io/dicom/query.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "io/dicom/association.h"

#include "dcmtk/dcmnet/diutil.h"

namespace
{

// What a small-animal or nuclear-medicine study is made of, and what its neighbours in an archive are.
const char *const storage_classes[] = {
    UID_PositronEmissionTomographyImageStorage,
    UID_CTImageStorage,
    UID_NuclearMedicineImageStorage,
    UID_SegmentationStorage,
    UID_MRImageStorage,
    UID_SecondaryCaptureImageStorage,
    UID_EnhancedCTImageStorage,
    UID_EnhancedPETImageStorage,
    UID_LegacyConvertedEnhancedPETImageStorage,
    UID_LegacyConvertedEnhancedCTImageStorage,
    UID_EnhancedMRImageStorage,
    UID_SurfaceSegmentationStorage,
    UID_RTStructureSetStorage,
    UID_RTDoseStorage,
    UID_RTPlanStorage,
    UID_RTImageStorage,
    UID_ParametricMapStorage,
    UID_RealWorldValueMappingStorage,
    UID_SpatialRegistrationStorage,
    UID_DeformableSpatialRegistrationStorage,
    UID_SpatialFiducialsStorage,
    UID_RawDataStorage,
    UID_BasicTextSRStorage,
    UID_EnhancedSRStorage,
    UID_ComprehensiveSRStorage,
    UID_Comprehensive3DSRStorage,
    UID_RadiopharmaceuticalRadiationDoseSRStorage,
    UID_XRayRadiationDoseSRStorage,
    UID_KeyObjectSelectionDocumentStorage,
    UID_EncapsulatedPDFStorage,
    UID_GrayscaleSoftcopyPresentationStateStorage,
    UID_UltrasoundImageStorage,
    UID_ComputedRadiographyImageStorage,
    UID_DigitalXRayImageStorageForPresentation,
};
const size_t storage_class_count = sizeof storage_classes / sizeof *storage_classes, image_class_count = 6;
const char *const lossless[] = {UID_JPEGProcess14SV1TransferSyntax, UID_JPEGLSLosslessTransferSyntax,
				UID_JPEG2000LosslessOnlyTransferSyntax, UID_RLELosslessTransferSyntax};

struct Scu {
	std::unique_ptr<DcmTLSTransportLayer> layer; // outlives the association
	iso_scu scu;
	const char *model = nullptr;
	~Scu()
	{
		if (scu.isConnected()) (void)scu.releaseAssociation();
	}
};

iso_status open(Scu &s, const iso_pacs *pacs, const char *model, iso_error *err)
{
	s.model = model;
	if (s.scu.addPresentationContext(model, iso_plain_syntaxes()).bad())
		return iso_fail(err, ISO_IO, nullptr, "report this", "DICOM: no presentation context");
	return iso_associate(s.scu, pacs, s.layer, err);
}

T_ASC_PresentationContextID context_of(Scu &s)
{
	const T_ASC_PresentationContextID id = s.scu.findPresentationContextID(s.model, "");
	return id ? id : s.scu.findPresentationContextID(s.model, UID_LittleEndianImplicitTransferSyntax);
}

void put(DcmDataset &keys, const DcmTagKey &tag, const char *text)
{
	(void)keys.putAndInsertString(tag, text);
}

std::string text_of(DcmDataset *from, const DcmTagKey &tag)
{
	OFString text;
	return from && from->findAndGetOFStringArray(tag, text).good() ? text.c_str() : "";
}

struct Answers : OFList<QRResponse *> {
	~Answers()
	{
		for (QRResponse *answer : *this) delete answer;
	}
};

iso_status find(Scu &s, const iso_pacs *pacs, DcmDataset &keys, Answers &answers, iso_error *err)
{
	const OFCondition done = s.scu.sendFINDRequest(context_of(s), &keys, &answers);
	if (done.bad()) return iso_no_service(pacs, "check the log of the PACS", "does not answer C-FIND", done, err);
	const Uint16 last = answers.empty() ? STATUS_FIND_Failed_UnableToProcess : answers.back()->m_status;
	if (last != STATUS_Success)
		return iso_fail(err, ISO_IO, nullptr, "check the log of the PACS, and whether our title may ask",
				"PACS %s at %s port %u: C-FIND ends with status %04x: %s", pacs->ae_title, pacs->host,
				pacs->port, static_cast<unsigned>(last), DU_cfindStatusString(last));
	return ISO_OK;
}

void base_keys(DcmDataset &keys, const char *level, const char *study, const char *series)
{
	put(keys, DCM_QueryRetrieveLevel, level);
	put(keys, DCM_StudyInstanceUID, study);
	if (series) put(keys, DCM_SeriesInstanceUID, series);
}

iso_status studies(Scu &s, const iso_pacs *pacs, const iso_fetch_key *key, std::vector<std::string> &out,
		   iso_error *err)
{
	DcmDataset keys;
	Answers answers;
	base_keys(keys, "STUDY", key->study, nullptr);
	put(keys, DCM_PatientID, key->patient_id);
	put(keys, DCM_AccessionNumber, key->accession);
	const iso_status status = find(s, pacs, keys, answers, err);
	if (status != ISO_OK) return status;
	for (QRResponse *answer : answers) {
		const std::string uid = text_of(answer->m_dataset, DCM_StudyInstanceUID);
		// A PACS may take a key for a beginning, or without regard to case: what does not fit exactly is another one's.
		const std::string patient = text_of(answer->m_dataset, DCM_PatientID);
		if (uid.empty() || (key->patient_id[0] && patient != key->patient_id)) continue;
		out.push_back(uid);
	}
	return ISO_OK;
}

iso_status series_of(Scu &s, const iso_pacs *pacs, const iso_fetch_key *key, const std::string &study,
		     std::vector<iso_dcm_series> &out, iso_error *err)
{
	DcmDataset keys;
	Answers answers;
	base_keys(keys, "SERIES", study.c_str(), key->series);
	put(keys, DCM_Modality, key->modality);
	put(keys, DCM_NumberOfSeriesRelatedInstances, "");
	const iso_status status = find(s, pacs, keys, answers, err);
	if (status != ISO_OK) return status;
	for (QRResponse *answer : answers) {
		iso_dcm_series found = {};
		const std::string uid = text_of(answer->m_dataset, DCM_SeriesInstanceUID),
				  modality = text_of(answer->m_dataset, DCM_Modality),
				  number = text_of(answer->m_dataset, DCM_NumberOfSeriesRelatedInstances);
		if (uid.empty() || uid.size() > 64 || study.size() > 64 || modality.size() > 16) continue;
		if (key->modality[0] && modality != key->modality) continue;
		std::strcpy(found.study, study.c_str());
		std::strcpy(found.series, uid.c_str());
		std::strcpy(found.modality, modality.c_str());
		found.instances = number.empty() ? -1 : std::strtol(number.c_str(), nullptr, 10);
		out.push_back(found);
	}
	return ISO_OK;
}

bool stop(const iso_progress *progress, size_t done, size_t all)
{
	return progress && progress->report &&
	       progress->report(progress->user, "fetching", static_cast<double>(done) / static_cast<double>(all)) != 0;
}

// The last answer of C-GET or C-MOVE says how it went.
iso_status judge(const iso_pacs *pacs, const char *what, const OFCondition &done,
		 const OFList<RetrieveResponse *> &answers, iso_error *err)
{
	if (done.bad())
		return iso_no_service(pacs, "check the log of the PACS, and whether our title may fetch", what, done,
				      err);
	if (answers.empty())
		return iso_fail(err, ISO_IO, nullptr, "check the log of the PACS",
				"PACS %s at %s port %u: %s without an answer", pacs->ae_title, pacs->host, pacs->port,
				what);
	const RetrieveResponse *last = answers.back();
	if (last->m_status != STATUS_Success || last->m_numberOfFailedSubops)
		return iso_fail(
		    err, ISO_IO, nullptr,
		    "check the log of the PACS: it must know our title, and for C-MOVE our host and port, too",
		    "PACS %s at %s port %u: %s ends with status %04x, %u objects failed", pacs->ae_title, pacs->host,
		    pacs->port, what, static_cast<unsigned>(last->m_status),
		    static_cast<unsigned>(last->m_numberOfFailedSubops));
	return ISO_OK;
}

iso_status propose_storage(iso_scu &scu, iso_error *err)
{
	OFCondition done = EC_Normal;
	for (size_t c = 0; c < storage_class_count; c++) {
		if (done.good())
			done = scu.addPresentationContext(storage_classes[c], iso_plain_syntaxes(), ASC_SC_ROLE_SCP);
		// One context for each: the PACS chooses, and it must be able to send what it has as it is.
		for (const char *syntax : lossless) {
			OFList<OFString> one;
			one.push_back(syntax);
			if (c < image_class_count && done.good())
				done = scu.addPresentationContext(storage_classes[c], one, ASC_SC_ROLE_SCP);
		}
	}
	return done.good() ? ISO_OK : iso_fail(err, ISO_IO, nullptr, "report this", "DICOM: no presentation contexts");
}

struct Retrieved : OFList<RetrieveResponse *> {
	~Retrieved()
	{
		for (RetrieveResponse *answer : *this) delete answer;
	}
};

iso_status cancelled(iso_error *err)
{
	return iso_fail(err, ISO_CANCELLED, nullptr, "fetch again", "stopped; nothing was written");
}

} // namespace

iso_status iso_dcm_has(const iso_pacs *pacs, const iso_dcm_object *object, bool *there, iso_error *err)
{
	*there = false;
	return iso_guard(err, [&]() -> iso_status {
		iso_quiet();
		Scu s;
		DcmDataset keys;
		Answers answers;
		iso_status status = open(s, pacs, UID_FINDStudyRootQueryRetrieveInformationModel, err);
		if (status != ISO_OK) return status;
		base_keys(keys, "IMAGE", object->study, object->series);
		put(keys, DCM_SOPInstanceUID, object->sop_instance);
		status = find(s, pacs, keys, answers, err);
		for (QRResponse *answer : answers)
			*there = *there || text_of(answer->m_dataset, DCM_SOPInstanceUID) == object->sop_instance;
		return status;
	});
}

iso_status iso_dcm_find_series(const iso_pacs *pacs, const iso_fetch_key *key, iso_dcm_series **series, size_t *count,
			       iso_error *err)
{
	*series = nullptr;
	*count = 0;
	return iso_guard(err, [&]() -> iso_status {
		iso_quiet();
		Scu s;
		std::vector<std::string> study;
		std::vector<iso_dcm_series> found;
		iso_status status = open(s, pacs, UID_FINDStudyRootQueryRetrieveInformationModel, err);
		if (status == ISO_OK) status = studies(s, pacs, key, study, err);
		for (size_t i = 0; status == ISO_OK && i < study.size(); i++)
			status = series_of(s, pacs, key, study[i], found, err);
		if (status != ISO_OK || found.empty()) return status;
		*series = static_cast<iso_dcm_series *>(std::malloc(found.size() * sizeof **series));
		if (!*series) return iso_fail_memory(err, "a list of series", found.size() * sizeof **series);
		std::memcpy(*series, found.data(), found.size() * sizeof **series);
		*count = found.size();
		return ISO_OK;
	});
}

iso_status iso_dcm_get(const iso_pacs *pacs, const iso_dcm_series *series, size_t count, const char *folder,
		       const iso_progress *progress, iso_error *err)
{
	return iso_guard(err, [&]() -> iso_status {
		iso_quiet();
		Scu s;
		iso_status status = propose_storage(s.scu, err);
		// As the bytes come: nothing is taken apart and put together again.
		s.scu.setStorageMode(DCMSCU_STORAGE_BIT_PRESERVING);
		s.scu.setStorageDir(folder);
		if (status == ISO_OK) status = open(s, pacs, UID_GETStudyRootQueryRetrieveInformationModel, err);
		for (size_t i = 0; status == ISO_OK && i < count; i++) {
			if (stop(progress, i, count)) return cancelled(err);
			DcmDataset keys;
			Retrieved answers;
			base_keys(keys, "SERIES", series[i].study, series[i].series);
			const OFCondition done = s.scu.sendCGETRequest(context_of(s), &keys, &answers);
			status = judge(pacs, "C-GET", done, answers, err);
		}
		return status;
	});
}

iso_status iso_dcm_move(const iso_pacs *pacs, const iso_dcm_series *series, size_t count, const iso_progress *progress,
			iso_error *err)
{
	return iso_guard(err, [&]() -> iso_status {
		iso_quiet();
		Scu s;
		iso_status status = open(s, pacs, UID_MOVEStudyRootQueryRetrieveInformationModel, err);
		for (size_t i = 0; status == ISO_OK && i < count; i++) {
			if (stop(progress, i, count)) return cancelled(err);
			DcmDataset keys;
			Retrieved answers;
			base_keys(keys, "SERIES", series[i].study, series[i].series);
			const OFCondition done =
			    s.scu.sendMOVERequest(context_of(s), pacs->own_ae_title, &keys, &answers);
			status = judge(pacs, "C-MOVE", done, answers, err);
		}
		return status;
	});
}
