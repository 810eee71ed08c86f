// SPDX-License-Identifier: GPL-3.0-or-later
#include "io/dicom/association.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "dcmtk/dcmnet/dcmtrans.h"
#include "io/secret.h"

namespace
{

iso_status bad_file(const char *path, const char *what, iso_error *err)
{
	return iso_fail(err, ISO_BAD_INPUT, path,
			"check the `tls` of the PACS configuration and that the file may be read", "%s", what);
}

// Our certificate and key; DCMTK would ask at the terminal for the password of a key that is locked.
iso_status own_certificate(const iso_pacs_tls *tls, DcmTLSTransportLayer &layer, iso_error *err)
{
	char password[ISO_SECRET_SIZE] = "";
	iso_status status = iso_secret_read(&tls->key_password, password, err);
	if (status != ISO_OK) return status;
	layer.setPrivateKeyPasswd(password);
	iso_secret_wipe(password);
	if (layer.setPrivateKeyFile(tls->key, DCF_Filetype_PEM).bad())
		return bad_file(tls->key, "this is no private key in PEM, or its password is wrong", err);
	if (layer.setCertificateFile(tls->certificate, DCF_Filetype_PEM).bad())
		return bad_file(tls->certificate, "this is no certificate in PEM", err);
	if (!layer.checkPrivateKeyMatchesCertificate())
		return bad_file(tls->certificate, "the certificate and the private key do not belong together", err);
	return ISO_OK;
}

// DCMTK checks who signed a certificate, but not for whom: OpenSSL does, when it is told the name.
bool expect_name(DcmTLSTransportLayer &layer, const char *host)
{
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(layer.getNativeHandle());
	return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1 || X509_VERIFY_PARAM_set1_host(param, host, 0) == 1;
}

} // namespace

iso_status iso_tls_layer(const iso_pacs_tls *tls, const char *host, std::unique_ptr<DcmTLSTransportLayer> &layer,
			 iso_error *err)
{
	DcmTLSTransportLayer::initializeOpenSSL();
	layer = std::make_unique<DcmTLSTransportLayer>(host ? NET_REQUESTOR : NET_ACCEPTOR, nullptr, OFFalse);
	if (!*layer) return iso_fail(err, ISO_IO, nullptr, "check the installation of OpenSSL", "TLS cannot be set up");
	layer->setPrivateKeyPasswd("");
	if (layer->setTLSProfile(TSP_Profile_BCP195).bad() || layer->activateCipherSuites().bad())
		return iso_fail(err, ISO_IO, nullptr, "check the installation of OpenSSL",
				"TLS 1.2 or later is not available");
	if (tls->certificate[0]) {
		const iso_status status = own_certificate(tls, *layer, err);
		if (status != ISO_OK) return status;
	}
	if (tls->ca[0] && layer->addTrustedCertificateFile(tls->ca, DCF_Filetype_PEM).bad())
		return bad_file(tls->ca, "there is no certificate in PEM here", err);
	if (host && !expect_name(*layer, tls->name[0] ? tls->name : host))
		return iso_fail(err, ISO_BAD_INPUT, nullptr, "give tls.name in the PACS configuration",
				"'%s' can be no name in a certificate", host);
	// Who calls us without a certificate is told apart by address and title alone, unless tls.ca asks for more.
	layer->setCertificateVerification(host || tls->ca[0] ? DCV_requireCertificate : DCV_ignoreCertificate);
	return ISO_OK;
}

iso_status iso_no_service(const iso_pacs *pacs, const char *remedy, const char *what, const OFCondition &why,
			  iso_error *err)
{
	std::string reason = why.text();
	for (char &c : reason)
		if (c == '\n') c = ' ';
	return iso_fail(err, ISO_IO, nullptr, remedy, "PACS %s at %s port %u: %s (%s)", pacs->ae_title, pacs->host,
			pacs->port, what, reason.c_str());
}

OFList<OFString> iso_plain_syntaxes()
{
	OFList<OFString> plain;
	plain.push_back(UID_LittleEndianExplicitTransferSyntax);
	plain.push_back(UID_LittleEndianImplicitTransferSyntax);
	return plain;
}

iso_status iso_associate(iso_scu &scu, const iso_pacs *pacs, std::unique_ptr<DcmTLSTransportLayer> &layer,
			 iso_error *err)
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
	dcmSocketReceiveTimeout.set(static_cast<Sint32>(timeout_s));
	OFCondition done = scu.initNetwork();
	if (done.bad()) return iso_no_service(pacs, "check the machine's network", "no network", done, err);
	if (pacs->tls.on) {
		const iso_status status = iso_tls_layer(&pacs->tls, pacs->host, layer, err);
		if (status != ISO_OK) return status;
		scu.useSecureConnection(layer.get());
	}
	done = scu.negotiateAssociation();
	if (done == DUL_ASSOCIATIONREJECTED)
		return iso_no_service(pacs, "make the PACS know both titles (its own and --own-aet)",
				      "refuses the association", done, err);
	if (done == NET_EC_NoAcceptablePresentationContexts)
		return iso_no_service(pacs, "allow these kinds of objects in the PACS", "accepts none of these objects",
				      done, err);
	if (done.bad())
		return iso_no_service(pacs,
				      pacs->tls.on
					  ? "check that the PACS speaks TLS at this port, that its certificate names "
					    "this host (else: tls.name) and leads to tls.ca"
					  : "check that the PACS runs, host and port, and the firewall between",
				      "no association", done, err);
	return ISO_OK;
}
