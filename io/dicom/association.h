// SPDX-License-Identifier: GPL-3.0-or-later
//
// What every conversation with a PACS begins with, for the C++ files: titles, timeouts, TLS, the association, and C-ECHO.
#ifndef ISOTRACE_IO_DICOM_ASSOCIATION_H
#define ISOTRACE_IO_DICOM_ASSOCIATION_H

#include <memory>
#include <string>

#include "io/dicom/shim.h"

#include "dcmtk/dcmnet/scu.h"
#include "dcmtk/dcmtls/tlslayer.h"

#include "isotrace/pacs.h"

// Whoever calls. DCMTK keeps TLS for its own heirs.
class iso_scu : public DcmSCU
{
      public:
	using DcmSCU::useSecureConnection;
};

// A TLS layer that trusts what tls.ca names. host: what the peer's certificate must be made out for; NULL: we are the one that is called.
iso_status iso_tls_layer(const iso_pacs_tls *tls, const char *host, std::unique_ptr<DcmTLSTransportLayer> &layer,
			 iso_error *err);

// Who was called and what they said, in one line: ISO_IO.
iso_status iso_no_service(const iso_pacs *pacs, const char *remedy, const char *what, const OFCondition &why,
			  iso_error *err);

// Sets up and negotiates. The contexts must have been added before. layer: for TLS; must live as long as scu.
iso_status iso_associate(iso_scu &scu, const iso_pacs *pacs, std::unique_ptr<DcmTLSTransportLayer> &layer,
			 iso_error *err);

inline bool iso_is_uncompressed(const std::string &syntax)
{
	return syntax == UID_LittleEndianExplicitTransferSyntax || syntax == UID_LittleEndianImplicitTransferSyntax ||
	       syntax == UID_BigEndianExplicitTransferSyntax;
}

// Either little endian, the explicit one first.
OFList<OFString> iso_plain_syntaxes();

#endif
