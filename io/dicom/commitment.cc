// SPDX-License-Identifier: GPL-3.0-or-later
#include "io/dicom/commitment.h"

#include <chrono>
#include <cstdio>
#include <thread>

#include "io/dicom/association.h"
#include "io/dicom/report.h"

#include "dcmtk/dcmnet/diutil.h"

namespace
{

void collect(DcmItem *dataset, const DcmTagKey &sequence, std::vector<std::string> &to)
{
	DcmItem *item = nullptr;
	OFString uid;
	for (long i = 0; dataset->findAndGetSequenceItem(sequence, item, i).good(); i++)
		if (item->findAndGetOFString(DCM_ReferencedSOPInstanceUID, uid).good()) to.push_back(uid.c_str());
}

iso_status ask(iso_scu &scu, const iso_pacs *pacs, T_ASC_PresentationContextID context, const char *transaction,
	       const iso_queue_item *items, size_t count, iso_error *err)
{
	DcmDataset request;
	OFCondition done = request.putAndInsertString(DCM_TransactionUID, transaction);
	for (size_t i = 0; done.good() && i < count; i++) {
		DcmItem *item = nullptr;
		done = request.findOrCreateSequenceItem(DCM_ReferencedSOPSequence, item, static_cast<long>(i));
		if (done.good()) done = item->putAndInsertString(DCM_ReferencedSOPClassUID, items[i].object.sop_class);
		if (done.good())
			done = item->putAndInsertString(DCM_ReferencedSOPInstanceUID, items[i].object.sop_instance);
	}
	if (done.bad()) return iso_fail_memory(err, "the request for storage commitment", 0);
	Uint16 answer = 0;
	done = scu.sendACTIONRequest(context, UID_StorageCommitmentPushModelSOPInstance, 1, &request, answer);
	if (done.bad()) return iso_no_service(pacs, "check the log of the PACS", "does not answer N-ACTION", done, err);
	if (answer != STATUS_Success)
		return iso_fail(err, ISO_IO, nullptr, "allow storage commitment for our title in the PACS",
				"PACS %s at %s port %u refuses storage commitment with status %04x", pacs->ae_title,
				pacs->host, pacs->port, static_cast<unsigned>(answer));
	return ISO_OK;
}

// The PACS may answer on this association, or on one of its own; it may also hang up first.
iso_status await(iso_scu &scu, const iso_dcm_wait *wait, iso_error *err)
{
	while (!wait->over(wait->user)) {
		DcmDataset *dataset = nullptr;
		Uint16 type = 0;
		if (!scu.isConnected()) {
			std::this_thread::sleep_for(std::chrono::milliseconds(200));
			continue;
		}
		const OFCondition done = scu.handleEVENTREPORTRequest(dataset, type, 1);
		if (done == DIMSE_NODATAAVAILABLE) continue;
		if (done.bad() || !dataset) {
			delete dataset;
			if (scu.isConnected()) (void)scu.abortAssociation();
			continue;
		}
		const iso_commitment_report report = iso_read_report(dataset);
		delete dataset;
		const auto committed = iso_pointers(report.committed), failed = iso_pointers(report.failed);
		const iso_status status = wait->answer(wait->user, report.transaction.c_str(), committed.data(),
						       committed.size(), failed.data(), failed.size(), err);
		if (status != ISO_OK) return status;
	}
	return ISO_OK;
}

} // namespace

iso_commitment_report iso_read_report(DcmItem *dataset)
{
	iso_commitment_report report;
	OFString uid;
	if (dataset->findAndGetOFString(DCM_TransactionUID, uid).good()) report.transaction = uid.c_str();
	collect(dataset, DCM_ReferencedSOPSequence, report.committed);
	collect(dataset, DCM_FailedSOPSequence, report.failed);
	return report;
}

std::vector<const char *> iso_pointers(const std::vector<std::string> &texts)
{
	std::vector<const char *> pointers;
	for (const std::string &text : texts) pointers.push_back(text.c_str());
	return pointers;
}

void iso_dcm_new_transaction(char uid[65])
{
	(void)dcmGenerateUniqueIdentifier(uid, SITE_INSTANCE_UID_ROOT);
}

iso_status iso_dcm_commit(const iso_pacs *pacs, const char *transaction, const iso_queue_item *items, size_t count,
			  const iso_dcm_wait *wait, iso_error *err)
{
	return iso_guard(err, [&]() -> iso_status {
		iso_quiet();
		std::unique_ptr<DcmTLSTransportLayer> layer;
		iso_scu scu;
		if (scu.addPresentationContext(UID_StorageCommitmentPushModelSOPClass, iso_plain_syntaxes()).bad())
			return iso_fail(err, ISO_IO, nullptr, "report this", "DICOM: no presentation context");
		iso_status status = iso_associate(scu, pacs, layer, err);
		if (status != ISO_OK) return status;
		const T_ASC_PresentationContextID context =
		    scu.findPresentationContextID(UID_StorageCommitmentPushModelSOPClass, "");
		if (!context)
			return iso_fail(err, ISO_IO, nullptr, "remove `commitment` from the PACS configuration",
					"PACS %s at %s port %u offers no storage commitment", pacs->ae_title,
					pacs->host, pacs->port);
		status = ask(scu, pacs, context, transaction, items, count, err);
		if (status == ISO_OK) status = await(scu, wait, err);
		if (scu.isConnected()) (void)scu.releaseAssociation();
		return status;
	});
}
