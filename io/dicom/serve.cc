// SPDX-License-Identifier: GPL-3.0-or-later
#include "io/dicom/serve.h"

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/arrived.h"
#include "io/dicom/association.h"
#include "io/dicom/report.h"
#include "io/dicom/store.h"
#include "io/queue.h"

#include "dcmtk/dcmnet/dcmtrans.h"
#include "dcmtk/dcmnet/dimse.h"
#include "dcmtk/dcmnet/diutil.h"

#include "core/output.h"

namespace
{

struct Conversation {
	const iso_dcm_service *service;
	T_ASC_Network *network = nullptr;
	T_ASC_Association *association = nullptr;
	std::unique_ptr<DcmTLSTransportLayer> layer;
	char calling[17] = "", called[17] = "";
	std::string part; // the file that is being received
	std::string counted_study;
	size_t counted = 0; // objects of that study
	unsigned number = 0;

	int timeout() const
	{
		return static_cast<int>(service->listener->timeout_s + 0.5);
	}
	// Whatever takes longer than this without a sign of life ends.
	void rearm() const
	{
		alarm(static_cast<unsigned>(timeout()) + 5);
	}
	void note(const char *format, ...) const __attribute__((format(printf, 2, 3)));
};

// Control characters of a peer must not write lines of their own into the log.
void Conversation::note(const char *format, ...) const
{
	char line[480]; // less than a pipe takes in one piece
	va_list values;
	va_start(values, format);
	int length = std::vsnprintf(line, sizeof line - 1, format, values);
	va_end(values);
	if (length < 0) return;
	if (static_cast<size_t>(length) > sizeof line - 2) length = sizeof line - 2;
	for (int i = 0; i < length; i++)
		if (static_cast<unsigned char>(line[i]) < ' ' || line[i] == 127) line[i] = '?';
	line[length] = '\n';
	(void)!write(service->notes, line, static_cast<size_t>(length) + 1);
}

bool is_uid(const char *text)
{
	const size_t length = std::strlen(text);
	return length > 0 && length <= 64 && std::strspn(text, "0123456789.") == length && text[0] != '.';
}

const char *const syntaxes[] = {UID_LittleEndianExplicitTransferSyntax,
				UID_LittleEndianImplicitTransferSyntax,
				UID_JPEGProcess14SV1TransferSyntax,
				UID_JPEGLSLosslessTransferSyntax,
				UID_JPEG2000LosslessOnlyTransferSyntax,
				UID_RLELosslessTransferSyntax,
				UID_DeflatedExplicitVRLittleEndianTransferSyntax,
				UID_BigEndianExplicitTransferSyntax};
// Objects go to the disk as they come. What else a peer sends is small.
const unsigned long most_in_memory = 64ul << 20;
#ifndef ISO_SANITIZED
const rlim_t most_memory = 4ul << 30;
#endif
const int syntax_count = sizeof syntaxes / sizeof *syntaxes;

void reject(Conversation &c, T_ASC_RejectParametersReason reason, const char *why)
{
	const T_ASC_RejectParameters parameters = {ASC_RESULT_REJECTEDPERMANENT, ASC_SOURCE_SERVICEUSER, reason};
	c.note("!%s calls %s: refused, %s", c.calling, c.called, why);
	(void)ASC_rejectAssociation(c.association, &parameters);
}

// Receives and answers the request for an association. False: there is none.
bool negotiate(Conversation &c)
{
	const iso_dcm_service *s = c.service;
	const bool tls = s->listener->tls.on;
	OFCondition done = ASC_initializeNetwork(NET_ACCEPTOR, 0, c.timeout(), &c.network);
	if (done.good() && tls) done = ASC_setTransportLayer(c.network, c.layer.get(), 0);
	if (done.good())
		done = ASC_receiveAssociation(c.network, &c.association, ASC_DEFAULTMAXPDU, nullptr, nullptr, tls,
					      DUL_NOBLOCK, c.timeout());
	if (done.bad()) {
		c.note("!a connection without an association: %s", done.text());
		return false;
	}
	T_ASC_Parameters *params = c.association->params;
	(void)ASC_getAPTitles(params, c.calling, sizeof c.calling, c.called, sizeof c.called, nullptr, 0);
	if (std::strcmp(c.called, s->listener->ae_title) != 0) {
		reject(c, ASC_REASON_SU_CALLEDAETITLENOTRECOGNIZED, "this is not our title");
		return false;
	}
	bool known = false;
	for (size_t t = 0; t < s->title_count; t++) known = known || std::strcmp(c.calling, s->titles[t]) == 0;
	if (!known) {
		reject(c, ASC_REASON_SU_CALLINGAETITLENOTRECOGNIZED,
		       "the configuration does not name it at this address");
		return false;
	}
	const char *verification[] = {UID_VerificationSOPClass},
		   *commitment[] = {UID_StorageCommitmentPushModelSOPClass};
	const char **offered = const_cast<const char **>(syntaxes);
	done = ASC_acceptContextsWithPreferredTransferSyntaxes(params, verification, 1, offered, 2);
	if (done.good() && s->queue)
		done =
		    ASC_acceptContextsWithPreferredTransferSyntaxes(params, commitment, 1, offered, 2, ASC_SC_ROLE_SCP);
	if (done.good() && s->folder)
		done = ASC_acceptContextsWithPreferredTransferSyntaxes(
		    params, dcmAllStorageSOPClassUIDs, numberOfDcmAllStorageSOPClassUIDs, offered, syntax_count);
	if (done.good()) done = ASC_acknowledgeAssociation(c.association);
	if (done.bad()) c.note("!%s: no association: %s", c.calling, done.text());
	return done.good();
}

// Gives a whole object its place. Returns the status for the sender.
Uint16 file(Conversation &c, const T_DIMSE_C_StoreRQ *request)
{
	iso_dcm_object object;
	bool found;
	iso_error err;
	if (iso_dcm_look(c.part.c_str(), &object, &found, &err) != ISO_OK || !found || !is_uid(object.study) ||
	    !is_uid(object.series) || !is_uid(object.sop_instance)) {
		c.note("!%s: an object without identities, refused", c.calling);
		return STATUS_STORE_Error_CannotUnderstand;
	}
	if (std::strcmp(object.sop_instance, request->AffectedSOPInstanceUID) != 0 ||
	    std::strcmp(object.sop_class, request->AffectedSOPClassUID) != 0)
		return STATUS_STORE_Error_DataSetDoesNotMatchSOPClass;
	if (!object.modality[0] ||
	    std::strspn(object.modality, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != std::strlen(object.modality))
		std::strcpy(object.modality, "OT");
	const std::string study = std::string(c.service->folder) + "/" + object.study,
			  series = study + "/" + object.modality + "_" + object.series,
			  path = series + "/" + object.sop_instance + ".dcm";
	if (c.counted_study != object.study) {
		c.counted_study = object.study;
		c.counted = iso_arrived_objects(study.c_str(), nullptr);
	}
	const bool again = access(path.c_str(), F_OK) == 0;
	if (!again && c.counted >= c.service->listener->max_objects_per_study) {
		c.note("!%s: more than max_objects_per_study, refused", c.calling);
		return STATUS_STORE_Refused_OutOfResources;
	}
	const int fd = open(c.part.c_str(), O_RDONLY | O_CLOEXEC);
	const bool flushed = fd >= 0 && fsync(fd) == 0;
	if (fd >= 0) close(fd);
	if (!flushed || iso_make_directory(series.c_str(), &err) != ISO_OK ||
	    rename(c.part.c_str(), path.c_str()) != 0) {
		c.note("!%s: cannot write: %s", path.c_str(), std::strerror(errno));
		return STATUS_STORE_Refused_OutOfResources;
	}
	c.counted += !again;
	c.note("+%s %s", object.study, object.modality);
	return STATUS_Success;
}

void on_store(void *data, T_DIMSE_StoreProgress *progress, T_DIMSE_C_StoreRQ *request, char *, DcmDataset **,
	      T_DIMSE_C_StoreRSP *response, DcmDataset **)
{
	Conversation &c = *static_cast<Conversation *>(data);
	c.rearm();
	const uint64_t most = c.service->listener->max_object_bytes,
		       bytes = static_cast<uint64_t>(progress->progressBytes);
	if (bytes > most) {
		// The sender would go on to the end of it, and that may never come.
		c.note("!%s: an object of more than max_object_mb, hung up", c.calling);
		(void)unlink(c.part.c_str());
		_exit(0);
	}
	if (progress->state == DIMSE_StoreEnd && response->DimseStatus == STATUS_Success)
		response->DimseStatus = file(c, request);
}

OFCondition receive_object(Conversation &c, T_ASC_PresentationContextID context, T_DIMSE_C_StoreRQ *request)
{
	c.part =
	    std::string(c.service->folder) + "/.part-" + std::to_string(getpid()) + "-" + std::to_string(c.number++);
	const OFCondition done = DIMSE_storeProvider(c.association, context, request, c.part.c_str(), 1, nullptr,
						     on_store, &c, DIMSE_NONBLOCKING, c.timeout());
	(void)unlink(c.part.c_str()); // what was not given its place
	return done;
}

void on_report(void *data, unsigned long bytes)
{
	static_cast<Conversation *>(data)->rearm();
	if (bytes > most_in_memory) _exit(0);
}

OFCondition receive_report(Conversation &c, T_ASC_PresentationContextID context, const T_DIMSE_N_EventReportRQ &request)
{
	DcmDataset *dataset = nullptr;
	T_ASC_PresentationContextID data_context = context;
	OFCondition done = EC_Normal;
	if (request.DataSetType != DIMSE_DATASET_NULL)
		done = DIMSE_receiveDataSetInMemory(c.association, DIMSE_NONBLOCKING, c.timeout(), &data_context,
						    &dataset, on_report, &c);
	const std::unique_ptr<DcmDataset> owner(dataset);
	if (done.bad()) return done;
	iso_error err;
	iso_queue *queue = nullptr;
	iso_status status =
	    c.service->queue && dataset ? iso_queue_open(c.service->queue, &queue, &err) : ISO_BAD_INPUT;
	if (status == ISO_OK) {
		const iso_commitment_report report = iso_read_report(dataset);
		const auto committed = iso_pointers(report.committed), failed = iso_pointers(report.failed);
		status = iso_queue_answer(queue, report.transaction.c_str(), committed.data(), committed.size(),
					  failed.data(), failed.size(), &err);
		c.note("!%s answers on storage commitment: %zu objects committed, %zu not", c.calling, committed.size(),
		       failed.size());
	}
	iso_queue_close(queue);
	T_DIMSE_Message answer = {};
	answer.CommandField = DIMSE_N_EVENT_REPORT_RSP;
	T_DIMSE_N_EventReportRSP &rsp = answer.msg.NEventReportRSP;
	rsp.MessageIDBeingRespondedTo = request.MessageID;
	rsp.DimseStatus = status == ISO_OK ? STATUS_Success : STATUS_N_ProcessingFailure;
	rsp.DataSetType = DIMSE_DATASET_NULL;
	rsp.EventTypeID = request.EventTypeID;
	rsp.opts =
	    O_NEVENTREPORT_AFFECTEDSOPCLASSUID | O_NEVENTREPORT_AFFECTEDSOPINSTANCEUID | O_NEVENTREPORT_EVENTTYPEID;
	OFStandard::strlcpy(rsp.AffectedSOPClassUID, request.AffectedSOPClassUID, sizeof rsp.AffectedSOPClassUID);
	OFStandard::strlcpy(rsp.AffectedSOPInstanceUID, request.AffectedSOPInstanceUID,
			    sizeof rsp.AffectedSOPInstanceUID);
	return DIMSE_sendMessageUsingMemoryData(c.association, context, &answer, nullptr, nullptr, nullptr, nullptr);
}

// One request after the other, until the peer ends it or does what it must not.
void talk(Conversation &c)
{
	for (;;) {
		T_ASC_PresentationContextID context = 0;
		T_DIMSE_Message message = {};
		DcmDataset *detail = nullptr;
		c.rearm();
		OFCondition done = DIMSE_receiveCommand(c.association, DIMSE_NONBLOCKING, c.timeout(), &context,
							&message, &detail, nullptr);
		delete detail;
		if (done == DUL_PEERREQUESTEDRELEASE) {
			(void)ASC_acknowledgeRelease(c.association);
			return;
		}
		if (done.good() && message.CommandField == DIMSE_C_ECHO_RQ)
			done = DIMSE_sendEchoResponse(c.association, context, &message.msg.CEchoRQ, STATUS_Success,
						      nullptr);
		else if (done.good() && message.CommandField == DIMSE_C_STORE_RQ && c.service->folder)
			done = receive_object(c, context, &message.msg.CStoreRQ);
		else if (done.good() && message.CommandField == DIMSE_N_EVENT_REPORT_RQ)
			done = receive_report(c, context, message.msg.NEventReportRQ);
		else if (done.good())
			done = DIMSE_BADCOMMANDTYPE;
		if (done.good()) continue;
		c.note("!%s: the association ended: %s", c.calling, done.text());
		if (done != DUL_PEERABORTEDASSOCIATION) (void)ASC_abortAssociation(c.association);
		return;
	}
}

} // namespace

void iso_dcm_serve(int socket, const iso_dcm_service *service)
{
	(void)iso_guard(nullptr, [&]() -> iso_status {
		iso_quiet();
		Conversation c;
		c.service = service;
#ifndef ISO_SANITIZED // which needs more than any machine has
		const rlimit limit = {most_memory, most_memory};
		(void)setrlimit(RLIMIT_AS, &limit);
#endif
		(void)signal(SIGALRM, SIG_DFL);
		c.rearm();
		dcmSocketSendTimeout.set(c.timeout());
		dcmSocketReceiveTimeout.set(c.timeout());
		dcmExternalSocketHandle.set(socket);
		iso_error err;
		if (service->listener->tls.on &&
		    iso_tls_layer(&service->listener->tls, nullptr, c.layer, &err) != ISO_OK) {
			c.note("!TLS: %s %s", err.file, err.message);
			return ISO_IO;
		}
		if (negotiate(c)) talk(c);
		if (c.association) {
			(void)ASC_dropSCPAssociation(c.association, 1);
			(void)ASC_destroyAssociation(&c.association);
		}
		if (c.network) (void)ASC_dropNetwork(&c.network);
		return ISO_OK;
	});
}
