// The foreign server's sign-in: npm oidc-provider with its own development pages and nothing of ours but this configuration.
// https://github.com/panva/node-oidc-provider - one JSON argument: port, fhirBase, client, resourceServer, members (name to Patient id).
import Provider from 'oidc-provider'

const told = JSON.parse(process.argv[2])
const patientOf = (name) => told.members[name]
const SCOPES = ['openid', 'offline_access', 'fhirUser', 'launch/patient', 'patient/*.rs', 'patient/*.read']
const provider = new Provider(`http://127.0.0.1:${told.port}`, {
  clients: [
    {
      client_id: told.client.client_id,
      redirect_uris: told.client.redirect_uris,
      token_endpoint_auth_method: 'none',
      application_type: 'native',
      grant_types: ['authorization_code', 'refresh_token'],
    },
    {
      client_id: told.resourceServer.client_id,
      client_secret: told.resourceServer.client_secret,
      redirect_uris: [],
      response_types: [],
      grant_types: ['client_credentials'],
    },
  ],
  scopes: SCOPES,
  claims: { openid: ['sub'], fhirUser: ['fhirUser'] },
  cookies: { keys: ['a key of the tests'] },
  features: { introspection: { enabled: true }, revocation: { enabled: true }, clientCredentials: { enabled: true } },
  findAccount: (context, name) =>
    patientOf(name) && { accountId: name, claims: () => ({ sub: name, fhirUser: `${told.fhirBase}/Patient/${patientOf(name)}` }) },
  extraTokenClaims: (context, token) => (patientOf(token.accountId) ? { patient: patientOf(token.accountId) } : undefined),
  issueRefreshToken: () => true,
  ttl: { AccessToken: 600, Grant: 600, IdToken: 600, Interaction: 600, RefreshToken: 600, Session: 600 },
})
provider.use(async (context, next) => {
  await next()
  const patient = patientOf(context.oidc?.entities?.AccessToken?.accountId)
  if (context.oidc?.route === 'token' && context.status === 200 && patient) context.body = { ...context.body, patient }
})
provider.on('server_error', (context, error) => console.error(error))
provider.listen(told.port, '127.0.0.1', () => console.log('listening'))
