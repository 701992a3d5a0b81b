// A payer's OpenID provider: npm oidc-provider with its own sign-in pages, told by one JSON argument whom it knows.
// https://github.com/panva/node-oidc-provider
import Provider from 'oidc-provider'

const told = JSON.parse(process.argv[2])
const provider = new Provider(told.issuer, {
  clients: [
    {
      client_id: told.clientId,
      client_secret: told.clientSecret,
      redirect_uris: [`${told.baseUrl}/sign-in/callback`],
      post_logout_redirect_uris: [`${told.baseUrl}/signed-out`],
    },
  ],
  claims: { openid: ['sub', 'member', 'represents'], profile: ['name'] },
  conformIdTokenClaims: told.onlyUserinfo,
  cookies: { keys: ['a key of the tests'] },
  findAccount: (context, id) => ({ accountId: id, claims: () => ({ sub: id, ...told.people[id] }) }),
  jwks: { keys: told.keys },
  pkce: { required: () => true },
  ttl: { Session: 600, Grant: 600, Interaction: 600, AccessToken: 600, IdToken: 600 },
})
provider.on('server_error', (context, error) => console.error(error))
provider.listen(told.port, '127.0.0.1', () => console.log('listening'))
