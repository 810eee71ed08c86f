// SPDX-License-Identifier: GPL-3.0-or-later
#include "io/dicom/store.h"

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "io/dicom/association.h"

#include "dcmtk/dcmnet/diutil.h"

struct iso_dcm_session {
	std::unique_ptr<DcmTLSTransportLayer> layer; // outlives the association
	iso_scu scu;
};

namespace
{

void take(DcmItem *from, const DcmTagKey &tag, char *to, size_t size)
{
	OFString text;
	if (iso_found(from->findAndGetOFString(tag, text)) && text.size() < size)
		std::snprintf(to, size, "%s", text.c_str());
}

// One presentation context per kind of file. Uncompressed files may go as either little endian.
iso_status propose(iso_scu &scu, const iso_dcm_object *objects, size_t count, iso_error *err)
{
	std::vector<std::pair<std::string, std::string>> kinds;
	const OFList<OFString> plain = iso_plain_syntaxes();
	OFCondition done = scu.addPresentationContext(UID_VerificationSOPClass, plain);
	for (size_t i = 0; i < count; i++) {
		const std::string syntax = objects[i].syntax;
		const std::pair<std::string, std::string> kind(objects[i].sop_class,
							       iso_is_uncompressed(syntax) ? "" : syntax);
		bool known = false;
		for (const auto &k : kinds) known = known || k == kind;
		if (known) continue;
		kinds.push_back(kind);
		OFList<OFString> syntaxes;
		if (kind.second.empty())
			syntaxes = plain;
		else
			syntaxes.push_back(kind.second.c_str());
		if (done.good()) done = scu.addPresentationContext(kind.first.c_str(), syntaxes);
	}
	if (done.bad() || kinds.size() > 127)
		return iso_fail(err, ISO_BAD_INPUT, nullptr, "send the folders one by one",
				"%zu kinds of DICOM objects are more than one association carries", kinds.size());
	return ISO_OK;
}

// The syntax that the file has, else for uncompressed files whichever the receiver took; DCMTK then converts.
T_ASC_PresentationContextID context_of(iso_scu &scu, const iso_dcm_object *object)
{
	T_ASC_PresentationContextID context = scu.findPresentationContextID(object->sop_class, object->syntax);
	if (!context && iso_is_uncompressed(object->syntax))
		context = scu.findPresentationContextID(object->sop_class, UID_LittleEndianExplicitTransferSyntax);
	if (!context && iso_is_uncompressed(object->syntax))
		context = scu.findPresentationContextID(object->sop_class, UID_LittleEndianImplicitTransferSyntax);
	return context;
}

iso_delivery store(iso_scu &scu, const char *path, const iso_dcm_object *object, std::string &problem)
{
	const T_ASC_PresentationContextID context = context_of(scu, object);
	Uint16 answer = 0;
	if (!context) {
		problem = "the receiver does not take this kind of object";
		return ISO_REFUSED;
	}
	const OFCondition done = scu.sendSTORERequest(context, path, nullptr, answer);
	if (done.bad()) {
		problem = done.text();
		if (done == EC_MemoryExhausted) return ISO_LOST; // nobody's fault but the moment's
		// DCMTK's conditions of reading a file and of the object in it come before a byte is sent.
		const bool ours = done.module() == OFM_dcmdata || done == NET_EC_NoAcceptablePresentationContexts ||
				  done == DIMSE_NOVALIDPRESENTATIONCONTEXTID || done == NET_EC_InvalidSOPClassUID ||
				  done == NET_EC_InvalidSOPInstanceUID || done == NET_EC_UnknownStorageSOPClass ||
				  done == DIMSE_BADDATA;
		return ours ? ISO_REFUSED : ISO_LOST;
	}
	if (answer == STATUS_Success || (answer & 0xf000) == 0xb000) return ISO_DELIVERED;
	char text[80];
	std::snprintf(text, sizeof text, "status %04x: %s", static_cast<unsigned>(answer),
		      DU_cstoreStatusString(answer));
	problem = text;
	return (answer & 0xff00) == 0xa700 ? ISO_LATER : ISO_REFUSED; // A7xx: out of resources
}

} // namespace

iso_status iso_dcm_look(const char *path, iso_dcm_object *object, bool *found, iso_error *err)
{
	*found = false;
	*object = iso_dcm_object();
	return iso_guard(err, [&]() -> iso_status {
		iso_quiet();
		DcmFileFormat file;
		// What follows (0020,000E) is of no interest here; the pixels stay on the disk.
		if (iso_load(file, path, 256, ERM_fileOnly, DCM_StudyID).bad()) return ISO_OK;
		DcmItem *meta = file.getMetaInfo(), *data = file.getDataset();
		take(meta, DCM_MediaStorageSOPClassUID, object->sop_class, sizeof object->sop_class);
		take(meta, DCM_TransferSyntaxUID, object->syntax, sizeof object->syntax);
		take(meta, DCM_MediaStorageSOPInstanceUID, object->sop_instance, sizeof object->sop_instance);
		take(data, DCM_SOPInstanceUID, object->sop_instance, sizeof object->sop_instance);
		take(data, DCM_StudyInstanceUID, object->study, sizeof object->study);
		take(data, DCM_SeriesInstanceUID, object->series, sizeof object->series);
		take(data, DCM_Modality, object->modality, sizeof object->modality);
		*found = object->sop_class[0] && object->syntax[0] && object->sop_instance[0] &&
			 std::string(object->sop_class) != UID_MediaStorageDirectoryStorage;
		return ISO_OK;
	});
}

iso_status iso_dcm_session_open(const iso_pacs *pacs, const iso_dcm_object *objects, size_t count,
				iso_dcm_session **out, iso_error *err)
{
	*out = nullptr;
	return iso_guard(err, [&]() -> iso_status {
		iso_quiet();
		auto session = std::make_unique<iso_dcm_session>();
		iso_status status = propose(session->scu, objects, count, err);
		if (status == ISO_OK) status = iso_associate(session->scu, pacs, session->layer, err);
		if (status != ISO_OK) return status;
		const OFCondition done = session->scu.sendECHORequest(0);
		// Some archives take objects without offering C-ECHO: that alone is no reason to give up.
		if (done.bad() && done != DIMSE_NOVALIDPRESENTATIONCONTEXTID)
			return iso_no_service(pacs, "check the log of the PACS", "does not answer C-ECHO", done, err);
		*out = session.release();
		return ISO_OK;
	});
}

iso_delivery iso_dcm_session_store(iso_dcm_session *session, const char *path, const iso_dcm_object *object,
				   char *problem, size_t size)
{
	iso_delivery delivery = ISO_LOST;
	iso_error err;
	const iso_status status = iso_guard(&err, [&]() -> iso_status {
		std::string text;
		delivery = store(session->scu, path, object, text);
		std::snprintf(problem, size, "%s", text.c_str());
		for (char *c = problem; *c; c++)
			if (*c == '\n') *c = ' ';
		return ISO_OK;
	});
	if (status != ISO_OK) {
		std::snprintf(problem, size, "%s", err.message);
		return ISO_LOST;
	}
	return delivery;
}

void iso_dcm_session_close(iso_dcm_session *session, bool abort)
{
	if (!session) return;
	(void)iso_guard(nullptr, [&]() -> iso_status {
		if (abort)
			(void)session->scu.abortAssociation();
		else
			(void)session->scu.releaseAssociation();
		delete session;
		return ISO_OK;
	});
}
