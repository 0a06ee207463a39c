/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the archive of libmicrohttpd wants from GnuTLS. The shared libmicrohttpd
 * brings GnuTLS and nine libraries more, two milliseconds and 2.5 MB at every
 * start, for a server that speaks plain HTTP. Two of these functions are
 * called, when the program begins and when it ends; the others belong to
 * MHD_USE_TLS, which server.c does not set. Hidden, so that a library that is
 * opened later finds those of GnuTLS.
 */
#include <stdlib.h>

#define HIDDEN __attribute__((visibility("hidden")))

HIDDEN int gnutls_global_init(void);
HIDDEN void gnutls_global_deinit(void);
HIDDEN extern void *(*gnutls_malloc)(size_t size);

int gnutls_global_init(void)
{
	return 0;
}

void gnutls_global_deinit(void)
{
}

void *(*gnutls_malloc)(size_t size) = malloc;

#define UNREACHED(name)                                                        \
	HIDDEN void gnutls_##name(void);                                       \
	void gnutls_##name(void)                                               \
	{                                                                      \
		abort();                                                       \
	}

UNREACHED(alpn_set_protocols)
UNREACHED(bye)
UNREACHED(certificate_allocate_credentials)
UNREACHED(certificate_free_credentials)
UNREACHED(certificate_server_set_request)
UNREACHED(certificate_set_dh_params)
UNREACHED(certificate_set_retrieve_function2)
UNREACHED(certificate_set_retrieve_function3)
UNREACHED(certificate_set_x509_key_mem)
UNREACHED(certificate_set_x509_key_mem2)
UNREACHED(certificate_set_x509_trust_mem)
UNREACHED(cipher_get)
UNREACHED(credentials_set)
UNREACHED(deinit)
UNREACHED(dh_params_deinit)
UNREACHED(dh_params_import_pkcs3)
UNREACHED(dh_params_init)
UNREACHED(handshake)
UNREACHED(init)
UNREACHED(priority_deinit)
UNREACHED(priority_init)
UNREACHED(priority_set)
UNREACHED(protocol_get_version)
UNREACHED(psk_allocate_server_credentials)
UNREACHED(psk_free_server_credentials)
UNREACHED(psk_set_server_credentials_function)
UNREACHED(record_check_pending)
UNREACHED(record_get_direction)
UNREACHED(record_recv)
UNREACHED(record_send)
UNREACHED(session_get_ptr)
UNREACHED(session_set_ptr)
UNREACHED(strerror)
UNREACHED(transport_set_int2)
