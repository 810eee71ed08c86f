// SPDX-License-Identifier: GPL-3.0-or-later
#include "io/dicom/deidentify.h"

#include <cstdio>
#include <ctime>
#include <string>

#include "core/hash.h"
#include "io/dicom/confidentiality.h"
#include "io/dicom/shim.h"
#include "io/dicom_identity.h"

namespace
{

class Deidentifier
{
      public:
	Deidentifier(const iso_dicom_key &key, const OFString &patient) : key_(key)
	{
		// The patient's own distance in days, 1 to 3652, into the past: the times between its scans stay what they are.
		const std::string hex = keyed("days", patient);
		days_ = 1 + static_cast<int>(std::stoul(hex.substr(0, 7), nullptr, 16) % 3652);
		pseudonym_ = "ANON-" + keyed("patient", patient).substr(0, 12);
	}

	OFCondition walk(DcmItem &item)
	{
		OFCondition done = EC_Normal;
		for (unsigned long i = 0; i < item.card() && done.good();) {
			DcmElement *element = item.getElement(i);
			const DcmTag &tag = element->getTag();
			const uint32_t number = static_cast<uint32_t>(tag.getGroup()) << 16 | tag.getElement();
			const iso_confidential action = iso_confidential_action(number);
			const bool whole = action == iso_confidential::dummy && !is_text(element->ident());
			if (action == iso_confidential::remove || whole) {
				delete item.remove(i);
				continue;
			}
			done = change(*element, number, action);
			i++;
		}
		return done;
	}

	const std::string &pseudonym() const
	{
		return pseudonym_;
	}

      private:
	const iso_dicom_key &key_;
	int days_;
	std::string pseudonym_;

	std::string keyed(const char *kind, const OFString &text) const
	{
		char hex[65];
		const std::string message = std::string(kind) + ':' + text.c_str();
		iso_hash_keyed(key_.bytes, key_.size, message.data(), message.size(), hex);
		return hex;
	}

	static bool is_text(DcmEVR vr)
	{
		return vr == EVR_AE || vr == EVR_CS || vr == EVR_LO || vr == EVR_LT || vr == EVR_PN || vr == EVR_SH ||
		       vr == EVR_ST || vr == EVR_UC || vr == EVR_UT;
	}

	OFCondition change(DcmElement &element, uint32_t tag, iso_confidential action)
	{
		if (tag == 0x00100010 || tag == 0x00100020) return element.putString(pseudonym_.c_str());
		switch (action) {
		case iso_confidential::empty: return element.clear();
		case iso_confidential::dummy: return element.putString("REMOVED");
		case iso_confidential::uid: return each_value(element, &Deidentifier::other_uid);
		default: break;
		}
		if (element.ident() == EVR_DA || element.ident() == EVR_DT)
			return each_value(element, &Deidentifier::moved);
		if (element.ident() != EVR_SQ) return EC_Normal;
		OFCondition done = EC_Normal;
		DcmSequenceOfItems &sequence = static_cast<DcmSequenceOfItems &>(element);
		for (unsigned long i = 0; i < sequence.card() && done.good(); i++) done = walk(*sequence.getItem(i));
		return done;
	}

	OFCondition each_value(DcmElement &element, OFString (Deidentifier::*change)(const OFString &) const)
	{
		OFString all;
		const unsigned long values = element.getVM();
		for (unsigned long v = 0; v < values; v++) {
			OFString value;
			const OFCondition done = element.getOFString(value, v);
			if (done.bad()) return done;
			all += v ? "\\" : "";
			if (!value.empty()) all += (this->*change)(value);
		}
		return element.putString(all.c_str());
	}

	OFString other_uid(const OFString &uid) const
	{
		char other[65];
		iso_dicom_uid(keyed("uid", uid).c_str(), other);
		return other;
	}

	// YYYYMMDD and what follows it (a DT's time), some days earlier; anything else is no date that could be moved, and goes.
	OFString moved(const OFString &text) const
	{
		int year, month, day, end = 0;
		if (std::sscanf(text.c_str(), "%4d%2d%2d%n", &year, &month, &day, &end) != 3 || end != 8) return "";
		struct tm calendar = {};
		calendar.tm_year = year - 1900;
		calendar.tm_mon = month - 1;
		calendar.tm_mday = day - days_; // which timegm brings into its month
		char date[16];
		(void)timegm(&calendar);
		if (std::strftime(date, sizeof date, "%Y%m%d", &calendar) != 8) return "";
		return date + text.substr(8);
	}
};

iso_status refuse(DcmItem &dataset, OFString &patient, const char *shown, iso_error *err)
{
	OFString text;
	if (iso_found(dataset.findAndGetOFString(DCM_PatientIdentityRemoved, text)) && text == "YES")
		return iso_fail(err, ISO_BAD_INPUT, shown, "give the files as they were",
				"it is de-identified already, and its UIDs would change again");
	if (dataset.tagExists(DCM_EncapsulatedDocument))
		return iso_fail(err, ISO_BAD_INPUT, shown, "leave this file out",
				"a document may show who it was, and nothing can be taken out of it");
	if (iso_found(dataset.findAndGetOFString(DCM_BurnedInAnnotation, text)) && text == "YES")
		return iso_fail(err, ISO_BAD_INPUT, shown, "leave it out, or clean the pixels first",
				"identities are burned into its pixels");
	if (!iso_found(dataset.findAndGetOFStringArray(DCM_PatientID, patient)) || patient.empty())
		return iso_fail(err, ISO_BAD_INPUT, shown, "give the patient an ID first",
				"without a patient ID nobody knows whose pseudonym it should have");
	return ISO_OK;
}

OFCondition put_code(DcmItem &dataset, const char *value, const char *meaning)
{
	DcmItem *item = nullptr;
	OFCondition done =
	    dataset.findOrCreateSequenceItem(DCM_DeidentificationMethodCodeSequence, item, -2 /* appended */);
	if (done.good()) done = item->putAndInsertString(DCM_CodeValue, value);
	if (done.good()) done = item->putAndInsertString(DCM_CodingSchemeDesignator, "DCM");
	if (done.good()) done = item->putAndInsertString(DCM_CodeMeaning, meaning);
	return done;
}

// What was done, in the codes of PS3.16 CID 7050.
OFCondition put_methods(DcmItem &dataset)
{
	static const char *const methods[][2] = {
	    {"113100", "Basic Application Confidentiality Profile"},
	    {"113107", "Retain Longitudinal Temporal Information Modified Dates Option"},
	    {"113108", "Retain Patient Characteristics Option"},
	};
	OFCondition done = dataset.putAndInsertString(DCM_PatientIdentityRemoved, "YES");
	if (done.good())
		done = dataset.putAndInsertString(DCM_DeidentificationMethod,
						  "isotrace: PS3.15 E.1 Basic Profile, keyed UIDs, dates moved");
	if (done.good()) done = dataset.putAndInsertString(DCM_LongitudinalTemporalInformationModified, "MODIFIED");
	(void)dataset.findAndDeleteElement(DCM_DeidentificationMethodCodeSequence);
	for (const auto &method : methods)
		if (done.good()) done = put_code(dataset, method[0], method[1]);
	// Who verified a report is gone, and with that the verification.
	if (done.good() && dataset.tagExists(DCM_VerificationFlag))
		done = dataset.putAndInsertString(DCM_VerificationFlag, "UNVERIFIED");
	return done;
}

} // namespace

iso_status iso_deidentify_dataset(DcmItem &dataset, const iso_dicom_key &key, const char *shown, iso_error *err)
{
	OFString patient;
	const iso_status status = refuse(dataset, patient, shown, err);
	if (status != ISO_OK) return status;
	OFCondition done = Deidentifier(key, patient).walk(dataset);
	if (done.good()) done = put_methods(dataset);
	if (iso_ran_out(done)) return iso_fail_memory(err, "DICOM", 0);
	return done.good() ? ISO_OK
			   : iso_fail(err, ISO_BAD_INPUT, shown, "check the file with dcmdump",
				      "cannot take its identities out: %s", done.text());
}

iso_status iso_deidentify_file(const char *from, const char *to, const char *shown, const iso_dicom_key *key,
			       iso_error *err)
{
	return iso_guard(err, [&] {
		iso_quiet();
		DcmFileFormat file;
		OFCondition done = iso_load(file, from, DCM_MaxReadLength, ERM_fileOnly);
		if (done.bad())
			return iso_fail(err, ISO_BAD_INPUT, from, "give DICOM files only", "it is no DICOM file: %s",
					done.text());
		DcmDataset *dataset = file.getDataset();
		done = dataset->loadAllDataIntoMemory();
		if (!iso_found(done))
			return iso_fail(err, ISO_BAD_INPUT, from, "copy the file again from where it came",
					"a damaged or truncated DICOM file: %s", done.text());
		const E_TransferSyntax syntax = dataset->getOriginalXfer();
		const iso_status status = iso_deidentify_dataset(*dataset, *key, from, err);
		if (status != ISO_OK) return status;
		// A new header: the old one may name the sender.
		DcmFileFormat clean(dataset);
		return iso_write_dicom(clean, syntax, to, shown, err);
	});
}
