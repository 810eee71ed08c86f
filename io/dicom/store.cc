// SPDX-License-Identifier: GPL-3.0-or-later
#include "io/dicom/store.h"

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "io/dicom/shim.h"

#include "dcmtk/dcmnet/dcmtrans.h"
#include "dcmtk/dcmnet/diutil.h"
#include "dcmtk/dcmnet/scu.h"

namespace
{

struct Image {
	std::string path, sop_class, syntax;
};

// A DICOM file with a header that says what it holds; pixel data stay on the disk.
bool look(const char *path, Image &image)
{
	DcmFileFormat file;
	if (file.loadFile(path, EXS_Unknown, EGL_noChange, 256, ERM_fileOnly).bad()) return false;
	OFString sop_class, syntax;
	if (file.getMetaInfo()->findAndGetOFString(DCM_MediaStorageSOPClassUID, sop_class).bad() ||
	    file.getMetaInfo()->findAndGetOFString(DCM_TransferSyntaxUID, syntax).bad() || sop_class.empty() ||
	    sop_class == UID_MediaStorageDirectoryStorage)
		return false;
	image = {path, sop_class.c_str(), syntax.c_str()};
	return true;
}

void note(const iso_progress *progress, const std::string &line)
{
	if (progress && progress->note) progress->note(progress->user, line.c_str());
}

bool stop(const iso_progress *progress, size_t done, size_t all)
{
	return progress && progress->report &&
	       progress->report(progress->user, "sending", static_cast<double>(done) / static_cast<double>(all)) != 0;
}

bool is_uncompressed(const std::string &syntax)
{
	return syntax == UID_LittleEndianExplicitTransferSyntax || syntax == UID_LittleEndianImplicitTransferSyntax ||
	       syntax == UID_BigEndianExplicitTransferSyntax;
}

// One presentation context per kind of file. Uncompressed files may go as either little endian.
iso_status propose(DcmSCU &scu, const std::vector<Image> &images, const char *shown, iso_error *err)
{
	std::vector<std::pair<std::string, std::string>> kinds;
	OFList<OFString> plain;
	plain.push_back(UID_LittleEndianExplicitTransferSyntax);
	plain.push_back(UID_LittleEndianImplicitTransferSyntax);
	OFCondition done = scu.addPresentationContext(UID_VerificationSOPClass, plain);
	for (const Image &image : images) {
		const std::pair<std::string, std::string> kind(image.sop_class,
							       is_uncompressed(image.syntax) ? "" : image.syntax);
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
		return iso_fail(err, ISO_BAD_INPUT, shown, "send the folders one by one",
				"%zu kinds of DICOM objects are more than one association carries", kinds.size());
	return ISO_OK;
}

// Who was called and what they said, in one line.
iso_status no_service(const iso_pacs *pacs, const char *remedy, const char *what, const OFCondition &why,
		      iso_error *err)
{
	std::string reason = why.text();
	for (char &c : reason)
		if (c == '\n') c = ' ';
	return iso_fail(err, ISO_IO, nullptr, remedy, "PACS %s at %s port %u: %s (%s)", pacs->ae_title, pacs->host,
			pacs->port, what, reason.c_str());
}

iso_status connect(DcmSCU &scu, const iso_pacs *pacs, iso_error *err)
{
	const Uint32 timeout_s = static_cast<Uint32>(pacs->timeout_s + 0.5);
	scu.setAETitle(pacs->own_ae_title);
	scu.setPeerAETitle(pacs->ae_title);
	scu.setPeerHostName(pacs->host);
	scu.setPeerPort(static_cast<Uint16>(pacs->port));
	scu.setConnectionTimeout(static_cast<Sint32>(timeout_s));
	scu.setACSETimeout(timeout_s);
	scu.setDIMSETimeout(timeout_s);
	scu.setDIMSEBlockingMode(DIMSE_NONBLOCKING);
	scu.setDatasetConversionMode(OFTrue);
	scu.setVerbosePCMode(OFFalse);
	dcmSocketSendTimeout.set(static_cast<Sint32>(timeout_s));
	OFCondition done = scu.initNetwork();
	if (done.bad()) return no_service(pacs, "check the machine's network", "no network", done, err);
	done = scu.negotiateAssociation();
	if (done == DUL_ASSOCIATIONREJECTED)
		return no_service(pacs, "make the PACS know both titles (its own and --own-aet)",
				  "refuses the association", done, err);
	if (done == NET_EC_NoAcceptablePresentationContexts)
		return no_service(pacs, "allow PET Image Storage in the PACS", "accepts none of these objects", done,
				  err);
	if (done.bad())
		return no_service(pacs, "check that the PACS runs, host and port, and the firewall between",
				  "no association", done, err);
	done = scu.sendECHORequest(0);
	// Some archives take objects without offering C-ECHO: that alone is no reason to give up.
	if (done.bad() && done != DIMSE_NOVALIDPRESENTATIONCONTEXTID)
		return no_service(pacs, "check the log of the PACS", "does not answer C-ECHO", done, err);
	return ISO_OK;
}

// One file. Empty: stored; a warning counts as stored. lost: the association is gone.
std::string store(DcmSCU &scu, const Image &image, bool &lost)
{
	Uint16 answer = 0;
	// The syntax that the file has, else for uncompressed files whichever the receiver took; DCMTK then converts.
	T_ASC_PresentationContextID context =
	    scu.findPresentationContextID(image.sop_class.c_str(), image.syntax.c_str());
	if (!context && is_uncompressed(image.syntax))
		context =
		    scu.findPresentationContextID(image.sop_class.c_str(), UID_LittleEndianExplicitTransferSyntax);
	if (!context && is_uncompressed(image.syntax))
		context =
		    scu.findPresentationContextID(image.sop_class.c_str(), UID_LittleEndianImplicitTransferSyntax);
	if (!context) return "the receiver does not take this kind of object";
	const OFCondition done = scu.sendSTORERequest(context, image.path.c_str(), nullptr, answer);
	if (done.bad()) {
		lost = done != NET_EC_NoAcceptablePresentationContexts && done != DIMSE_NOVALIDPRESENTATIONCONTEXTID &&
		       done != NET_EC_InvalidSOPClassUID && done != NET_EC_InvalidSOPInstanceUID;
		return done.text();
	}
	if (answer == STATUS_Success || (answer & 0xf000) == 0xb000) return "";
	char text[80];
	std::snprintf(text, sizeof text, "status %04x: %s", static_cast<unsigned>(answer),
		      DU_cstoreStatusString(answer));
	return text;
}

} // namespace

iso_status iso_dcm_store(const char *shown, const char *const *path, size_t count, const iso_pacs *pacs,
			 const iso_progress *progress, size_t *stored, size_t *failed, iso_error *err)
{
	*stored = *failed = 0;
	return iso_guard(err, [&]() -> iso_status {
		iso_quiet();
		std::vector<Image> images;
		for (size_t i = 0; i < count; i++) {
			Image image;
			if (look(path[i], image))
				images.push_back(image);
			else
				note(progress, std::string(path[i]) + ": no DICOM file, skipped");
		}
		if (images.empty())
			return iso_fail(err, ISO_BAD_INPUT, shown, "name a DICOM file or a folder of them",
					"there is no DICOM file here");
		DcmSCU scu;
		iso_status status = propose(scu, images, shown, err);
		if (status == ISO_OK) status = connect(scu, pacs, err);
		if (status != ISO_OK) {
			*failed = images.size();
			return status;
		}
		std::string first, first_path;
		bool lost = false, cancelled = false;
		for (const Image &image : images) {
			cancelled = cancelled || stop(progress, *stored + *failed, images.size());
			if (cancelled || lost) break;
			const std::string problem = store(scu, image, lost);
			if (problem.empty()) {
				++*stored;
				continue;
			}
			++*failed;
			note(progress, image.path + ": " + problem);
			if (first.empty()) first = problem, first_path = image.path;
		}
		if (cancelled || lost)
			(void)scu.abortAssociation();
		else
			(void)scu.releaseAssociation();
		*failed = images.size() - *stored;
		if (cancelled)
			return iso_fail(err, ISO_CANCELLED, shown,
					"send again: what the PACS has is replaced by the same",
					"stopped after %zu of %zu files", *stored, images.size());
		if (!*failed) return ISO_OK;
		return iso_fail(err, *stored ? ISO_PARTIAL : ISO_IO, first_path.c_str(),
				"see the PACS's log, then send again: what it has is replaced by the same",
				"PACS %s at %s port %u did not store %zu of %zu files: %s", pacs->ae_title, pacs->host,
				pacs->port, *failed, images.size(), first.c_str());
	});
}
